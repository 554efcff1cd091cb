package controller

import (
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Organizations in a client's certificate, and what they may do.
const (
	orgAdmin = "sarn:admin" // everything
	orgNode  = "sarn:node"  // follow and report for the node that its common name names
)

// onlyLocal guards plain HTTP on the loopback from web pages in a local browser. One
// whose name resolves to 127.0.0.1 (DNS rebinding) is known by the Host that it asks
// for, one that posts here across origins by what the browser says of it.
func onlyLocal(next http.Handler) http.Handler {
	local := http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = strings.Trim(r.Host, "[]") // no port
		}
		if !isLoopback(host) {
			deny(w, "this address is for this machine only; ask for it as 127.0.0.1 or localhost")
			return
		}
		local.ServeHTTP(w, r)
	})
}

// onlyCertified lets each client do what its certificate says.
func onlyCertified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := r.TLS.PeerCertificates[0].Subject
		own := "/v1/nodes/" + who.CommonName
		switch {
		case slices.Contains(who.Organization, orgAdmin),
			slices.Contains(who.Organization, orgNode) &&
				(r.Method == http.MethodGet && r.URL.Path == own+"/state" ||
					r.Method == http.MethodPut && r.URL.Path == own+"/report"):
			next.ServeHTTP(w, r)
		default:
			deny(w, "the certificate of "+who.String()+" does not allow this: organization "+orgAdmin+
				" may do everything, "+orgNode+" may follow and report for the node of its common name")
		}
	})
}

func deny(w http.ResponseWriter, why string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusForbidden)
	// The client may be gone; there is nobody else to tell.
	_ = json.NewEncoder(w).Encode(huma.ErrorModel{
		Status: http.StatusForbidden, Title: http.StatusText(http.StatusForbidden), Detail: why,
	})
}
