package serve

import "net/http"

// metrics answers Prometheus.
func (s *Server) metrics() http.Handler {
	return http.HandlerFunc(nothing)
}
