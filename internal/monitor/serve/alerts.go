package serve

import (
	"net/http"

	"sarn/internal/monitor/alert"
)

// mostPast is how many alerts that are over are told.
const mostPast = 100

// alertsBody is what is told of alerts.
type alertsBody struct {
	Rules      int              `json:"rules"`
	Active     []alert.Alert    `json:"active"`
	Pending    []alert.Alert    `json:"pending"`
	Past       []alert.Alert    `json:"past"`
	Deliveries []alert.Delivery `json:"deliveries"`
}

func (s *Server) alertsNow() alertsBody {
	body := alertsBody{Active: []alert.Alert{}, Pending: []alert.Alert{}, Past: []alert.Alert{}, Deliveries: []alert.Delivery{}}
	if s.Alerts == nil {
		return body
	}
	body.Rules = s.Alerts.Rules()
	body.Active = append(body.Active, s.Alerts.Active()...)
	body.Pending = append(body.Pending, s.Alerts.Pending()...)
	body.Past = append(body.Past, s.Alerts.Past(mostPast)...)
	body.Deliveries = append(body.Deliveries, s.Alerts.Deliveries()...)
	return body
}

// alerts answers with what fires, what may soon, and what did.
func (s *Server) alerts(w http.ResponseWriter, r *http.Request) {
	if query(w, r) {
		answer(w, s.alertsNow())
	}
}
