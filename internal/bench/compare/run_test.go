package compare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sarn/internal/bench/load"
	"sarn/internal/timetest"
)

// servers counts the servers that tests have started.
var servers atomic.Int64

// The test binary is a server too, if its first argument is `serve`.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "serve" {
		if err := serve(os.Args[2], os.Args[3:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	tmp, err := os.MkdirTemp("", "compare-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Setenv("TMPDIR", tmp) // what is left in it is ours
	code := timetest.Run(m)
	os.RemoveAll(tmp)
	os.Exit(code)
}

// serve answers at the address with the CPUs that it may use. Words say how it behaves.
func serve(address string, words []string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
	mux.HandleFunc("/die", func(http.ResponseWriter, *http.Request) {
		fmt.Fprintln(os.Stderr, "these are my last words")
		os.Exit(7)
	})
	mux.HandleFunc("/cpus", func(w http.ResponseWriter, _ *http.Request) {
		cpus, _ := allowedCPUs()
		fmt.Fprintf(w, "cpus %s, greeting %s", cpus, os.Getenv("GREETING"))
	})
	mux.HandleFunc("/burn", func(w http.ResponseWriter, _ *http.Request) {
		for end := ownTime() + 100*time.Millisecond; ownTime() < end; {
		}
	})
	if slices.Contains(words, "stubborn") {
		signal.Ignore(syscall.SIGTERM)
	}
	if slices.Contains(words, "children") { // one in its group, one that leaves its session
		for _, setsid := range []bool{false, true} {
			child := exec.Command("sleep", "1000")
			child.SysProcAttr = &syscall.SysProcAttr{Setsid: setsid}
			if err := child.Start(); err != nil {
				return err
			}
		}
	}
	if slices.Contains(words, "broken") {
		return errors.New("this cannot work:\nno flux")
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return http.Serve(l, mux)
}

// ownTime is how much time this process has used on CPUs.
func ownTime() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// ours is a server that this test starts, at an address that nobody else takes meanwhile:
// all of 127.0.0.0/8 is this machine.
func ours(t testing.TB, name string, words ...string) ServerConfig {
	t.Helper()
	pid := os.Getpid()
	address := fmt.Sprintf("127.%d.%d.%d:%d", 1+pid>>16, pid>>8&0xff, pid&0xff, 10_000+servers.Add(1))
	return ServerConfig{Name: name, URL: "http://" + address + "/", Command: append([]string{os.Args[0], "serve", address}, words...)}
}

// counted asks each server once, and says that it took as many requests as figures says
// of its host, 100 if it says nothing.
func counted(figures map[string]float64) func(context.Context, load.Config) (*load.Result, error) {
	return func(ctx context.Context, c load.Config) (*load.Result, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL.String(), nil)
		if err != nil {
			return nil, err
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return nil, err
		}
		rate := figures[c.URL.Host]
		if rate == 0 {
			rate = 100
		}
		return &load.Result{
			Started: time.Now(), Seconds: 1, Requests: int64(rate), RequestsPerSecond: rate, TimePerRequest: 1000 / rate,
			Statuses: map[int]int64{resp.StatusCode: int64(rate)}, Latency: load.Latency{P50: 1, P99: 2},
		}, nil
	}
}

// config is a short comparison of the servers.
func config(servers ...ServerConfig) Config {
	return Config{Servers: servers, Rounds: 3, Warmup: new(Duration), Seed: 1}
}

func start1(t testing.TB, c Config, d Deps) (*Result, error) {
	t.Helper()
	if d.Measure == nil {
		d.Measure = counted(nil)
	}
	one, err := New(c, d)
	if err != nil {
		t.Fatal(err)
	}
	r, err := one.Run(t.Context())
	if left := leftovers(); len(left) > 0 {
		t.Errorf("these processes are left: %v", left)
	}
	if after, _ := filepath.Glob(filepath.Join(os.TempDir(), "sarn-compare-*")); len(after) > 0 {
		t.Errorf("temporary directories are left: %v", after)
	}
	return r, err
}

// leftovers lists what a server of ours has left.
func leftovers() []string {
	var left []string
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		environment, _ := os.ReadFile(filepath.Join(d, "environ"))
		pid, _ := strconv.Atoi(filepath.Base(d))
		if pid != os.Getpid() && strings.Contains(string(environment), markVar) && strings.Contains(string(environment), "SARN_TEST="+strconv.Itoa(os.Getpid())) {
			left = append(left, filepath.Base(d))
		}
	}
	return left
}

func TestServersAreStartedAndStopped(t *testing.T) {
	t.Setenv("SARN_TEST", strconv.Itoa(os.Getpid()))
	a, b := ours(t, "a", "children"), ours(t, "b", "stubborn")
	b.Stop.Timeout = Duration(50 * time.Millisecond)
	b.Prepare = []string{"sh", "-c", "echo made > {tmp}/made"}
	r, err := start1(t, config(a, b), Deps{Progress: func(p Progress) {
		if p.Phase == Measuring && len(leftovers()) < 4 {
			t.Errorf("only %v are there; are they known again?", leftovers())
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Order) != 3 || len(r.Servers) != 2 || len(r.Servers[0].Rounds) != 3 || r.Servers[0].Failure+r.Servers[1].Failure != "" {
		t.Errorf("%+v", r)
	}
}

func TestVerdict(t *testing.T) {
	a, b, c := ours(t, "a"), ours(t, "b"), ours(t, "c")
	figures := map[string]float64{b.address(): 200}
	r, err := start1(t, config(a, b, c), Deps{Measure: counted(figures)})
	if err != nil {
		t.Fatal(err)
	}
	if r.Servers[0].Name != "b" || r.Pair("a", "b").Verdict != Differ || r.Pair("a", "b").Faster != "b" || r.Pair("a", "c").Verdict != NotShown {
		t.Errorf("%+v", r.Pairs)
	}
	if len(r.Pairs) != 3 || len(r.Telling()) != 3 {
		t.Errorf("%d pairs, of which %d are told", len(r.Pairs), len(r.Telling()))
	}
}

func TestOrderIsThatOfTheSeed(t *testing.T) {
	a, b, c := ours(t, "a"), ours(t, "b"), ours(t, "c")
	orders := map[uint64][][]string{}
	for _, seed := range []uint64{1, 2, 1} {
		conf := config(a, b, c)
		conf.Seed, conf.Rounds = seed, 5
		r, err := start1(t, conf, Deps{})
		if err != nil {
			t.Fatal(err)
		}
		if o := orders[seed]; o != nil && !reflect.DeepEqual(o, r.Order) {
			t.Errorf("seed %d: %v and %v", seed, o, r.Order)
		}
		orders[seed] = r.Order
		for _, names := range r.Order {
			if sorted := slices.Sorted(slices.Values(names)); !slices.Equal(sorted, []string{"a", "b", "c"}) {
				t.Errorf("a round measures %v", names)
			}
		}
	}
	if reflect.DeepEqual(orders[1], orders[2]) {
		t.Error("two seeds have the same order")
	}
	if slices.IndexFunc(orders[1], func(o []string) bool { return !slices.Equal(o, orders[1][0]) }) < 0 {
		t.Error("every round has the same order")
	}
}

func TestAServerThatEndsEarly(t *testing.T) {
	_, err := start1(t, config(ours(t, "a"), ours(t, "b", "broken")), Deps{})
	if err == nil || !strings.Contains(err.Error(), "b did not become ready: it ended (exit status 1):\n  this cannot work:\n  no flux") {
		t.Errorf("%v", err)
	}
}

func TestAServerThatDies(t *testing.T) {
	timetest.Try(t, func(t *timetest.T) {
		a, b := ours(t, "a"), ours(t, "b")
		conf := config(a, b)
		conf.Rounds = 4
		measure := counted(nil)
		r, err := start1(t, conf, Deps{
			Measure: func(ctx context.Context, c load.Config) (*load.Result, error) { return measure(ctx, c) },
			Progress: func(p Progress) {
				if p.Phase == Measuring && p.Round == 3 && p.Place == 1 {
					_, _ = http.Get(b.URL + "die")
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		first, last := r.Servers[0], r.Servers[1]
		if first.Name != "a" {
			first, last = last, first
		}
		if len(first.Rounds) != 4 || len(last.Rounds) != 2 {
			t.Errorf("rounds of a: %d, of b: %d", len(first.Rounds), len(last.Rounds))
		}
		if !strings.HasPrefix(last.Failure, "in round 3 it ended (exit status 7):\n  these are my last words") {
			t.Errorf("%q", last.Failure)
		}
		if p := r.Pair("a", "b"); p.Verdict != TooFew || p.Rounds != 2 {
			t.Errorf("%+v", p)
		}
	})
}

func TestADeadServerIsNotWaitedFor(t *testing.T) {
	a := ours(t, "a")
	r, err := start1(t, config(a), Deps{Measure: func(ctx context.Context, _ load.Config) (*load.Result, error) {
		_, _ = http.Get(a.URL + "die")
		<-ctx.Done()
		return &load.Result{Requests: 1}, nil
	}})
	if err != nil || !strings.HasPrefix(r.Servers[0].Failure, "in round 1 it ended (exit status 7)") {
		t.Errorf("%v, %+v", err, r)
	}
}

func TestAServerThatStopsAnswering(t *testing.T) {
	a, b := ours(t, "a"), ours(t, "b")
	measure, asked := counted(nil), 0
	r, err := start1(t, config(a, b), Deps{Measure: func(ctx context.Context, c load.Config) (*load.Result, error) {
		if c.URL.Host == b.address() {
			if asked++; asked > 1 {
				return &load.Result{Failures: []load.Failure{{Count: 9, Words: "no answer within 10s"}}}, nil
			}
		}
		return measure(ctx, c)
	}})
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(r.Servers, func(s Server) bool { return s.Name == "b" })
	if got := r.Servers[at].Failure; got != "in round 2 it answered nothing: no answer within 10s" {
		t.Errorf("%q", got)
	}
}

func TestAPortThatIsTaken(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	a, b := ours(t, "a"), ours(t, "b")
	b.URL = other.URL
	_, err := start1(t, config(a, b), Deps{Progress: func(p Progress) {
		if p.Phase == Starting {
			t.Error("a server is started all the same")
		}
	}})
	if err == nil || !strings.Contains(err.Error(), "b: somebody listens at "+strings.TrimPrefix(other.URL, "http://")+" already") {
		t.Errorf("%v", err)
	}
}

func TestFirstAnswers(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/short", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hi") })
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
	other := httptest.NewServer(mux)
	defer other.Close()
	at := func(path string, e ExpectConfig) ServerConfig {
		return ServerConfig{Name: path, URL: other.URL + path, Expect: e}
	}
	for want, servers := range map[string][]ServerConfig{
		"/none answers 404 Not Found instead of 2xx":       {at("/none", ExpectConfig{})},
		"/short answers 200 OK instead of 404":             {at("/short", ExpectConfig{Status: 404})},
		`/short answers "hi", which does not hold "hello"`: {at("/long", ExpectConfig{Body: "hello"}), at("/short", ExpectConfig{Body: "hello"})},
	} {
		if _, err := start1(t, config(servers...), Deps{}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
	r, err := start1(t, config(at("/short", ExpectConfig{}), at("/long", ExpectConfig{}), at("/none", ExpectConfig{Status: 404})), Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(r.Notes, func(n string) bool { return strings.HasPrefix(n, "the servers answer with different bodies: ") }) {
		t.Errorf("%q", r.Notes)
	}
	for _, s := range r.Servers {
		if s.BadCodes > 0 {
			t.Errorf("%s: an answer that was expected counts as an error", s.Name)
		}
	}
}

func TestAServerThatIsNotThere(t *testing.T) {
	timetest.Try(t, func(t *timetest.T) {
		a := ours(t, "a")
		a.Command, a.Ready.Timeout = nil, Duration(t.Patience(50*time.Millisecond))
		_, err := start1(t, config(a), Deps{})
		if err == nil || !strings.Contains(err.Error(), "a does not answer at "+a.URL+" within "+a.Ready.Timeout.String()+": ") || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("%v", err)
		}
	})
}

func TestPrepareThatFails(t *testing.T) {
	a := ours(t, "a")
	a.Prepare = []string{"sh", "-c", "echo no such flux >&2; exit 3"}
	_, err := start1(t, config(a), Deps{})
	if err == nil || err.Error() != "prepare a: sh: exit status 3:\n  no such flux" {
		t.Errorf("%v", err)
	}
	a.Prepare = []string{"/does/not/exist"}
	if _, err := start1(t, config(a), Deps{}); err == nil || !strings.Contains(err.Error(), "prepare a: ") || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("%v", err)
	}
}

func TestInterruptLeavesWholeRounds(t *testing.T) {
	t.Setenv("SARN_TEST", strconv.Itoa(os.Getpid()))
	for when, want := range map[[2]int]int{{3, 2}: 2, {1, 1}: 0} {
		ctx, cancel := context.WithCancel(t.Context())
		one, err := New(config(ours(t, "a"), ours(t, "b")), Deps{Measure: counted(nil), Progress: func(p Progress) {
			if p.Phase == Measuring && p.Round == when[0] && p.Place == when[1] {
				cancel()
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := one.Run(ctx)
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if left := leftovers(); len(left) > 0 {
			t.Errorf("these processes are left: %v", left)
		}
		if want == 0 {
			if r != nil {
				t.Errorf("a result without a round: %+v", r)
			}
			continue
		}
		if r == nil || !r.Interrupted || len(r.Order) != want || len(r.Servers[0].Rounds) != want || len(r.Servers[1].Rounds) != want {
			t.Errorf("%+v; want %d whole rounds", r, want)
		}
	}
}

func TestPanicLeavesNothing(t *testing.T) {
	t.Setenv("SARN_TEST", strconv.Itoa(os.Getpid()))
	one, err := New(config(ours(t, "a")), Deps{Measure: func(context.Context, load.Config) (*load.Result, error) { panic("flux") }})
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = one.Run(t.Context())
		t.Error("no panic")
	}()
	if left := leftovers(); len(left) > 0 {
		t.Errorf("these processes are left: %v", left)
	}
}
