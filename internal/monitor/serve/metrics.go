package serve

import (
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"sarn/internal/monitor/sample"
)

// family is the series of one name.
type family struct {
	name   string
	help   string
	kind   prometheus.ValueType
	labels []string
	series func(scrape, emit)
	desc   *prometheus.Desc
}

// emit takes the value of a series, with its labels.
type emit func(value float64, labels ...string)

// scrape is what series are made of.
type scrape struct {
	*sample.Sample
	*totals
	top    []*sample.Process
	alerts alertsBody
	server *Server
}

func gauge(name, help string, labels []string, series func(scrape, emit)) family {
	return family{name: name, help: help, kind: prometheus.GaugeValue, labels: labels, series: series}
}

func counter(name, help string, labels []string, series func(scrape, emit)) family {
	return family{name: name, help: help, kind: prometheus.CounterValue, labels: labels, series: series}
}

// one is a value without labels.
func one(value func(scrape) float64) func(scrape, emit) {
	return func(s scrape, e emit) { e(value(s)) }
}

func families() []family {
	var all []family
	for _, some := range [][]family{systemFamilies(), deviceFamilies(), machineFamilies(), processFamilies(), alertFamilies(), ownFamilies()} {
		all = append(all, some...)
	}
	return all
}

// exporter answers Prometheus. What it says of a sample it makes once.
type exporter struct {
	server   *Server
	families []family
	registry *prometheus.Registry

	mu          sync.Mutex
	made        *frame // of which text and packed are
	text, gzipd []byte
}

func newExporter(s *Server) *exporter {
	x := &exporter{server: s, families: families(), registry: prometheus.NewRegistry()}
	for i := range x.families {
		f := &x.families[i]
		f.desc = prometheus.NewDesc("sarn_"+f.name, f.help, f.labels, nil)
	}
	x.registry.MustRegister(x, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return x
}

// Describe implements prometheus.Collector.
func (x *exporter) Describe(to chan<- *prometheus.Desc) {
	for _, f := range x.families {
		to <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (x *exporter) Collect(to chan<- prometheus.Metric) {
	now := x.server.hub.latest.Load().sample
	s := scrape{now, x.server.totals.now(), top(now.Processes), x.server.alertsNow(), x.server}
	for _, f := range x.families {
		seen := map[string]bool{}
		f.series(s, func(value float64, labels ...string) {
			for i := range labels {
				labels[i] = labelText(labels[i])
			}
			// Two of one name would make the whole answer wrong.
			key := strings.Join(labels, "\x00")
			if seen[key] {
				return
			}
			seen[key] = true
			if m, err := prometheus.NewConstMetric(f.desc, f.kind, value, labels...); err == nil {
				to <- m
			}
		})
	}
}

// labelText makes a name from outside a value of a label, which is UTF-8 of any kind:
// the format escapes it.
func labelText(s string) string {
	const most = 256
	if len(s) > most {
		s = s[:most]
		for !utf8.ValidString(s) && len(s) > most-utf8.UTFMax {
			s = s[:len(s)-1]
		}
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// metrics answers Prometheus.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	if !query(w, r) || !s.seen(r) {
		return
	}
	packed := takesGzip(r)
	body, err := s.exporter.answer(packed)
	if err != nil {
		s.Log.Error("the metrics cannot be written", "error", err)
		refuse(w, http.StatusInternalServerError, "the metrics cannot be written; the monitor's log says why")
		return
	}
	h := w.Header()
	h.Set("Content-Type", string(expfmt.NewFormat(expfmt.TypeTextPlain)))
	h.Add("Vary", "Accept-Encoding")
	if packed {
		h.Set("Content-Encoding", "gzip")
	}
	w.Write(body)
}

// answer is made before it is sent, so that who reads slowly holds up nobody.
func (x *exporter) answer(packed bool) ([]byte, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if now := x.server.hub.latest.Load(); x.made != now {
		text, err := x.encode()
		if err != nil {
			return nil, err
		}
		x.made, x.text, x.gzipd = now, text, nil
	}
	if !packed {
		return x.text, nil
	}
	if x.gzipd == nil {
		var out bytes.Buffer
		z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
		if err == nil {
			_, err = z.Write(x.text)
			err = errors.Join(err, z.Close())
		}
		if err != nil {
			return nil, err
		}
		x.gzipd = out.Bytes()
	}
	return x.gzipd, nil
}

func (x *exporter) encode() ([]byte, error) {
	all, err := x.registry.Gather()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := expfmt.NewEncoder(&out, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range all {
		if err := e.Encode(f); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}
