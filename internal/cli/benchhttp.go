package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sarn/internal/bench/load"
)

// loadOptions are the flags that say what a load test asks, and how.
type loadOptions struct {
	requests    int64
	duration    seconds
	concurrency int
	keepAlive   bool
	http2       bool
	streams     int
	rate        float64
	timeout     seconds

	method   string
	headers  []string
	body     string
	mime     string
	auth     string
	insecure bool
}

// defaultDuration is how long a test runs that nobody has bounded.
const defaultDuration = 10 * time.Second

func (a *app) benchHTTPCommand() *cobra.Command {
	o := loadOptions{timeout: seconds(30 * time.Second)}
	f := reportFormat(formatTable)
	cmd := &cobra.Command{
		Use:   "http URL",
		Short: "Ask a web server again and again, and say how it took it",
		Long: `Asks URL again and again and prints how many answers came a second, how long they
took, and what went wrong. The flags that ab has mean what they mean there: without -k
each request gets a connection of its own.

Without --rate the test is a closed loop: -c clients each wait for their answer before
they ask again, so the server sets the pace, and while it stalls nobody asks. With --rate
requests fall due at that rate whatever the server does, and the corrected latencies
count from when each was due, as a person would who came at that moment.

A test ends after -n requests or -t seconds, whichever comes first, and after 10 seconds
without either. Requests under way at the end are waited for. Ctrl-C ends it at once,
prints what there is, and exits with 130. If no request was answered the exit code is 1.

Redirects are not followed, answers are not decompressed, requests are not pipelined.
HTTP/2 is asked for over TLS, and taken for granted with http://.`,
		Example: `  sarn bench http http://127.0.0.1:8181/ -c 100 -n 100000
  sarn bench http http://127.0.0.1:8181/ -k -c 100 -t 5s
  sarn bench http http://127.0.0.1:8181/ -k -c 100 --rate 2000 -t 5s -o json
  sarn bench http http://127.0.0.1:8181/ -p order.json -T application/json -H X-Tenant:a`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return errors.New("name the URL to ask, such as http://127.0.0.1:8181/")
			case len(args) > 1:
				return fmt.Errorf("%q is too much: one URL is tested; `sarn bench compare` takes several", args[1])
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkZero(cmd, "requests", "duration", "timeout", "rate"); err != nil {
				return err
			}
			if o.requests < 0 {
				return usageError("--requests %d: give 1 or more, such as --requests 1000", o.requests)
			}
			c, err := o.config(a, args[0])
			if err != nil {
				return err
			}
			return a.benchHTTP(cmd.Context(), c, f)
		},
	}
	o.flags(cmd)
	cmd.Flags().Float64Var(&o.rate, "rate", 0, "requests a `second` that fall due (open loop)")
	cmd.Flags().IntVar(&o.streams, "streams", 1, "how `many` requests at a time share an HTTP/2 connection")
	f.flag(cmd)
	return cmd
}

// flags are those that `bench compare` has too.
func (o *loadOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Int64VarP(&o.requests, "requests", "n", 0, "how `many` requests to send")
	f.VarP(&o.duration, "duration", "t", "how `long` to send requests: seconds, or such as 1m30s (default 10s without -n)")
	f.IntVarP(&o.concurrency, "concurrency", "c", 10, "how `many` requests are under way at a time")
	f.BoolVarP(&o.keepAlive, "keepalive", "k", false, "keep connections open for further requests")
	f.BoolVar(&o.http2, "http2", false, "speak HTTP/2")
	f.VarP(&o.timeout, "timeout", "s", "how `long` a request may take")
	f.StringVarP(&o.method, "method", "m", "", "`method` (default GET, or POST with a body)")
	f.StringArrayVarP(&o.headers, "header", "H", nil, "`NAME: VALUE` to send along; may be given again")
	f.StringVarP(&o.body, "post", "p", "", "`file` whose content is the request's body; - is the standard input")
	f.StringVarP(&o.mime, "content-type", "T", "", "the body's `type` (default text/plain)")
	f.StringVarP(&o.auth, "auth", "A", "", "`USER:PASSWORD` for basic authentication")
	f.BoolVar(&o.insecure, "insecure", false, "take any certificate; otherwise --tls-ca or the system says whom to trust")
	complete(cmd, "method", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
}

// checkZero refuses a 0 that is given: it is not the same as a flag that is left out.
func checkZero(cmd *cobra.Command, names ...string) error {
	for _, name := range names {
		if f := cmd.Flags().Lookup(name); f.Changed && strings.Trim(f.Value.String(), "0.smh") == "" {
			return usageError("--%s 0 asks for nothing; leave it out for its default", name)
		}
	}
	return nil
}

// config makes a test of the flags.
func (o *loadOptions) config(a *app, address string) (load.Config, error) {
	c := load.Config{
		Method: o.method, KeepAlive: o.keepAlive, HTTP2: o.http2, Streams: o.streams, Concurrency: o.concurrency,
		Rate: o.rate, Requests: o.requests, Duration: time.Duration(o.duration), Timeout: time.Duration(o.timeout),
	}
	if c.Requests == 0 && c.Duration == 0 {
		c.Duration = defaultDuration
	}
	if c.Method == "" && o.body != "" { // an empty file is a body too
		c.Method = http.MethodPost
	}
	if !strings.Contains(address, "://") {
		return c, usageError("%q has no scheme; try http://%s", address, address)
	}
	var err error
	if c.URL, err = url.Parse(address); err != nil {
		return c, usageError("%q is not a URL: %w", address, errors.Unwrap(err))
	}
	if c.Header, err = o.header(); err != nil {
		return c, err
	}
	if c.Body, err = o.readBody(a.In); err != nil {
		return c, err
	}
	if c.URL.Scheme == "https" {
		if c.TLS, err = a.target.clientTLS(o.insecure); err != nil {
			return c, err
		}
	}
	if err := c.Validate(); err != nil {
		return c, usageError("%w", err)
	}
	return c, nil
}

func (o *loadOptions) header() (http.Header, error) {
	h := http.Header{}
	for _, line := range o.headers {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, usageError("-H %q is not NAME: VALUE", line)
		}
		h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	if o.body != "" && h.Get("Content-Type") == "" {
		h.Set("Content-Type", "text/plain") // as ab
	}
	if o.mime != "" {
		if o.body == "" {
			return nil, usageError("-T is the type of a body; give one with -p FILE")
		}
		h.Set("Content-Type", o.mime)
	}
	if o.auth != "" {
		if !strings.Contains(o.auth, ":") {
			return nil, usageError("-A is USER:PASSWORD")
		}
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(o.auth)))
	}
	return h, nil
}

// maxBody bounds a request's body, which is held in memory once.
const maxBody = 64 << 20

func (o *loadOptions) readBody(in io.Reader) ([]byte, error) {
	if o.body == "" {
		return nil, nil
	}
	if o.body != "-" {
		f, err := os.Open(o.body)
		if err != nil {
			return nil, usageError("read the body: %w", err)
		}
		defer f.Close() //nolint:errcheck // read only
		in = f
	}
	body, err := io.ReadAll(io.LimitReader(in, maxBody+1))
	if err != nil {
		return nil, usageError("read the body: %w", err)
	}
	if len(body) > maxBody {
		return nil, usageError("the body is larger than %d MiB", maxBody>>20)
	}
	return body, nil
}

// clientTLS is whom a test trusts, and what it shows of itself.
func (t target) clientTLS(insecure bool) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure}
	if t.ca != "" {
		pem, err := os.ReadFile(t.ca)
		if err != nil {
			return nil, usageError("--tls-ca: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, usageError("--tls-ca: there is no certificate in %s", t.ca)
		}
	}
	if (t.cert == "") != (t.key == "") {
		return nil, usageError("--tls-cert and --tls-key go together: give both")
	}
	if t.cert != "" {
		pair, err := tls.LoadX509KeyPair(t.cert, t.key)
		if err != nil {
			return nil, usageError("--tls-cert and --tls-key: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// errNoAnswer ends a test that has measured nothing.
var errNoAnswer = errors.New("no request was answered")

func (a *app) benchHTTP(ctx context.Context, c load.Config, f reportFormat) error {
	test, err := load.New(c)
	if err != nil {
		return usageError("%w", err)
	}
	stop := a.watchLoad(test, c)
	r, err := test.Run(ctx)
	stop()
	if err != nil {
		return err
	}
	if err := a.printLoad(r, f); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case r.Requests == 0:
		return errNoAnswer
	}
	return nil
}

// watchLoad says how far a test is: each second on a terminal, in one line; elsewhere a
// line every ten.
func (a *app) watchLoad(test *load.Test, c load.Config) (stop func()) {
	terminal := isTerminal(a.Err)
	every := 10 * time.Second
	if terminal {
		every = time.Second
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				line := progressWords(test.Progress(), c)
				if terminal {
					fmt.Fprint(a.Err, "\r\x1b[K"+line)
				} else {
					a.progress("%s", line)
				}
			case <-done:
				if terminal {
					fmt.Fprint(a.Err, "\r\x1b[K")
				}
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

func progressWords(p load.Progress, c load.Config) string {
	if p.Elapsed == 0 {
		return "connecting"
	}
	words := p.Elapsed.Round(time.Second).String()
	if c.Duration > 0 {
		words += " of " + c.Duration.String()
	}
	words += fmt.Sprintf(": %d", p.Requests)
	if c.Requests > 0 {
		words += fmt.Sprintf(" of %d", c.Requests)
	}
	words += fmt.Sprintf(" requests, %.0f/s", p.RequestsPerSecond)
	if p.Failed > 0 {
		words += fmt.Sprintf(", %d failed", p.Failed)
	}
	return words
}
