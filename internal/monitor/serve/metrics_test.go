package serve

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"sarn/internal/monitor/alert"
	"sarn/internal/monitor/sample"
)

// evil is a name that breaks what takes it for more than text.
const evil = "a\"} 1\nsarn_up{x=\"<script>\\\x1b[31m\x00\xff"

// evilMachine is a machine on which everything is called what nobody should trust, with
// many more processes than there are series for.
func evilMachine() *sample.Sample {
	s := &sample.Sample{
		Interval: 2, Host: sample.Host{Name: evil, OS: evil, Kernel: evil, Model: evil},
		CPU:         sample.CPU{Total: sample.Times{User: 0.25, Idle: 0.75}, Cores: make([]sample.Times, 2)},
		Pressure:    &sample.Pressure{},
		Disks:       []sample.Disk{{Name: evil, ReadBytes: 100}, {Name: evil, ReadBytes: 7}},
		Filesystems: []sample.Filesystem{{Mount: evil, Device: evil, Type: evil}, {Mount: evil, Device: evil, Type: evil}},
		Interfaces:  []sample.Interface{{Name: evil}},
		Sensors:     []sample.Sensor{{Chip: evil, Label: evil, Kind: "fan", Value: 3}, {Chip: evil, Label: evil, Kind: "temperature"}, {Kind: "power"}},
		Machines:    []sample.Machine{{ID: evil, Name: evil, By: evil, State: evil, Kind: sample.VM, CPU: 0.5}, {ID: strings.Repeat("é", 4096)}},
	}
	for i := range 1000 {
		s.Processes = append(s.Processes, sample.Process{
			PID: i + 1, Name: evil, User: evil, Machine: evil, CPU: float64(i % 7), Resident: uint64(i), RxBytes: -1, TxBytes: -1,
		})
	}
	return s
}

type fixed struct{ s *sample.Sample }

func (f fixed) Pass() (*sample.Sample, error) {
	s := *f.s
	return &s, nil
}

// firing is a watch whose alerts are as bad as can be.
type firing struct{}

func (firing) Observe(*sample.Sample) {}
func (firing) Rules() int             { return 3 }
func (firing) Active() []alert.Alert {
	var all []alert.Alert
	for i := range 1000 {
		all = append(all, alert.Alert{Rule: "r", Subject: fmt.Sprint(evil, i), Level: alert.Critical})
	}
	return all
}
func (firing) Pending() []alert.Alert       { return []alert.Alert{{Rule: "p"}} }
func (firing) Past(int) []alert.Alert       { return nil }
func (firing) Deliveries() []alert.Delivery { return []alert.Delivery{{Action: evil, Sent: 5}} }

func scraped(t *testing.T, s *Server) (map[string]*dto.MetricFamily, []byte) {
	t.Helper()
	a, body := get(t, "http://"+s.Address()+"/metrics", "", "")
	if a.StatusCode != http.StatusOK || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%s %v: %.300s", a.Status, a.Header, body)
	}
	p := expfmt.NewTextParser(model.LegacyValidation)
	all, err := p.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		t.Fatalf("Prometheus could not read it: %v", err)
	}
	return all, []byte(body)
}

func TestMetricsOfHostileNames(t *testing.T) {
	s := servingDeps(t, Config{}, Deps{Source: fixed{evilMachine()}, Alerts: firing{}})
	all, body := scraped(t, s)
	if all["sarn_up"] != nil {
		t.Error("a name made a series of its own")
	}
	problems, err := promlint.New(bytes.NewReader(body)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	value := func(name string) float64 {
		f := all[name]
		if f == nil || len(f.Metric) == 0 {
			t.Errorf("no %s", name)
			return -1
		}
		m := f.Metric[0]
		return m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	if n := len(all["sarn_process_cpu_ratio"].GetMetric()); n != 2*topProcesses {
		t.Errorf("%d processes have series", n)
	}
	if all["sarn_process_network_receive_bytes_per_second"] != nil {
		t.Error("what nobody tells is told")
	}
	if n := len(all["sarn_alert_level"].GetMetric()); n != mostAlerts || value("sarn_alert_level") != 3 {
		t.Errorf("%d alerts", n)
	}
	if value("sarn_alert_rules") != 3 || value("sarn_sensor_fan_rpm") != 3 || value("sarn_machine_info") != 1 {
		t.Error("values are wrong")
	}
	for name, f := range all {
		if strings.HasPrefix(name, "sarn_") && f.GetHelp() == "" {
			t.Errorf("%s has no help", name)
		}
		for _, m := range f.Metric {
			for _, l := range m.Label {
				if len(l.GetValue()) > 300 {
					t.Errorf("a label of %s has %d bytes", name, len(l.GetValue()))
				}
			}
		}
	}
}

// TestMetricsLoseNothing: counters are of all passes, not of the last one.
func TestMetricsLoseNothing(t *testing.T) {
	s := servingDeps(t, Config{}, Deps{Source: fixed{evilMachine()}})
	var all map[string]*dto.MetricFamily
	var passes float64
	until(t, "there are three passes", func() bool {
		all, _ = scraped(t, s)
		passes = all["sarn_monitor_passes_total"].Metric[0].GetCounter().GetValue()
		return passes >= 3
	})
	if got := all["sarn_disk_read_bytes_total"].Metric[0].GetCounter().GetValue(); got < 2*107*passes {
		t.Errorf("%v bytes of %v passes", got, passes)
	}
	for _, m := range all["sarn_cpu_seconds_total"].Metric {
		if m.Label[0].GetValue() == "user" && m.GetCounter().GetValue() < 0.25*2*2*passes {
			t.Errorf("%v seconds of user in %v passes", m.GetCounter().GetValue(), passes)
		}
	}
}

func TestMetricsPacked(t *testing.T) {
	s := servingDeps(t, Config{}, Deps{Source: fixed{evilMachine()}})
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Address()+"/metrics", nil)
	r.Header.Set("Accept-Encoding", "gzip;q=1.0, identity")
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	z, err := gzip.NewReader(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(z); err != nil || !bytes.Contains(text, []byte("\nsarn_cpus 2\n")) {
		t.Errorf("%v: %.100s", err, text)
	}
}

// TestMetricsAreDocumented: each name is in the manual, with its labels.
func TestMetricsAreDocumented(t *testing.T) {
	manual, err := os.ReadFile("../../../docs/monitor-serve.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families() {
		if !bytes.Contains(manual, []byte("`sarn_"+f.name+"`")) {
			t.Errorf("sarn_%s (%v) is not in docs/monitor-serve.md: %s", f.name, f.labels, f.help)
		}
	}
}
