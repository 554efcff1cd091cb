package serve

import (
	"net/http"

	"sarn/internal/monitor/sample"
)

// mostFirst is how many processes of each order a summary has.
const mostFirst = 10

// summary is a sample in short. alerts is nil if nobody watches.
func summary(s *sample.Sample, alerts func() any) *sample.Summary {
	sum := sample.Summarize(s, mostFirst)
	if alerts == nil {
		return sum
	}
	if body, ok := alerts().(alertsBody); ok && len(body.Active) > 0 {
		a := &body.Active[0] // the worst stands first
		sum.Alerts = len(body.Active)
		sum.Worst = &sample.Notice{Level: a.Level.String(), Message: a.Message, Since: a.Since}
	}
	return sum
}

// summary answers with the latest sample in short, for who looks at many machines.
func (s *Server) summary(w http.ResponseWriter, r *http.Request) {
	if !query(w, r) || !s.seen(r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(s.hub.latest.Load().short.body())
}
