package cli

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"sarn/internal/api"
	"sarn/internal/lab"
)

const environmentHelp = `Which controller a command talks to, in this order:

  --server ADDRESS    unix:///path/api.sock, http://127.0.0.1:port or https://host:port
  --lab NAME          the controller of a lab that is up
  SARN_SERVER         an address as for --server
  the current context see ` + "`sarn context`" + `
  the lab that is up  if there is exactly one
  unix:///run/sarn/api.sock

An https address needs --tls-ca, --tls-cert and --tls-key, or a context that names
the files; ` + "`sarn pki`" + ` makes them.

Environment variables:

  SARN_SERVER         see above
  SARN_MONITOR_TOKEN  token of a monitor, for ` + "`sarn top --host`" + ` and --browse
  SARN_RUN_DIR        where local sockets are (default /run/sarn)
  SARN_GUEST_KERNEL   directory of an unpacked kernel package, for a lab's VMs of the kind qemu
  XDG_CONFIG_HOME     contexts are in sarn/config.yaml below it (default ~/.config)
  NO_COLOR            any value: no colour on a terminal`

// target holds the flags that choose a controller.
type target struct {
	server, lab   string
	ca, cert, key string
	chosen        choice // once connect has run
}

// choice is a controller and the reason why a command talks to it.
type choice struct {
	endpoint api.Endpoint
	why      string
}

// connect returns a client of the controller that the command is to talk to.
func (a *app) connect() (*api.Client, error) {
	c, err := a.choose()
	if err != nil {
		return nil, err
	}
	return a.connectTo(c)
}

func (a *app) connectTo(c choice) (*api.Client, error) {
	a.target.chosen = c
	client, err := api.New(c.endpoint)
	if err != nil {
		return nil, usageError("%w (%s)", err, c.why)
	}
	return client, nil
}

// choose finds the controller. The TLS flags are for it, wherever its name is from: one
// that they are no use with is refused, not reached in another way than was asked for.
func (a *app) choose() (choice, error) {
	c, err := a.find()
	c.endpoint = a.override(c.endpoint)
	return c, err
}

func (a *app) find() (choice, error) {
	switch {
	case a.target.server != "" && a.target.lab != "":
		return choice{}, usageError("--server and --lab are two controllers; give one of them")
	case a.target.server != "":
		return choice{api.Endpoint{Address: a.target.server}, "--server says so"}, nil
	case a.target.lab != "":
		return a.chooseLab(a.target.lab)
	case a.Getenv("SARN_SERVER") != "":
		return choice{api.Endpoint{Address: a.Getenv("SARN_SERVER")}, "SARN_SERVER says so"}, nil
	}
	conf, err := a.loadConfig()
	if err != nil {
		return choice{}, err
	}
	if conf.Current != "" {
		e, ok := conf.Contexts[conf.Current]
		if !ok {
			return choice{}, fmt.Errorf("%s names the current context %q and does not have it; choose one with `sarn context use`", a.configFile(), conf.Current)
		}
		return choice{e.endpoint(), fmt.Sprintf("the current context is %q", conf.Current)}, nil
	}
	return a.chooseLocal()
}

func (a *app) chooseLab(name string) (choice, error) {
	labs, err := a.labsUp()
	if err != nil {
		return choice{}, err
	}
	for _, l := range labs {
		if l.Name == name {
			return choice{socket(l.Socket), "--lab says so"}, nil
		}
	}
	return choice{}, usageError("no lab %q is up; %s", name, labWords(labs))
}

// chooseLocal falls back on what this machine has.
func (a *app) chooseLocal() (choice, error) {
	labs, err := a.labsUp()
	switch {
	case err != nil:
		return choice{}, err
	case len(labs) > 1:
		return choice{}, usageError("which controller? %s; choose with --lab NAME or --server ADDRESS", labWords(labs))
	case len(labs) == 1:
		return choice{socket(labs[0].Socket), fmt.Sprintf("the lab %q is up", labs[0].Name)}, nil
	}
	return choice{socket(a.defaultSocket()), "the default, with no --server, SARN_SERVER or context"}, nil
}

// labsUp lists the labs whose controller runs.
func (a *app) labsUp() ([]lab.Info, error) {
	labs, err := a.labs()
	if err != nil {
		return nil, err
	}
	return labs.Running()
}

func (a *app) defaultSocket() string { return filepath.Join(a.runDir(), "api.sock") }

func labWords(labs []lab.Info) string {
	switch len(labs) {
	case 0:
		return "no lab is up"
	case 1:
		return fmt.Sprintf("the lab that is up is %q", labs[0].Name)
	}
	names := make([]string, len(labs))
	for i, l := range labs {
		names[i] = l.Name
	}
	return "these labs are up: " + strings.Join(names, ", ")
}

func socket(path string) api.Endpoint { return api.Endpoint{Address: "unix://" + path} }

// override puts the files of the TLS flags in place of the endpoint's own.
func (a *app) override(e api.Endpoint) api.Endpoint {
	for _, f := range []struct {
		flag  string
		field *string
	}{{a.target.ca, &e.CA}, {a.target.cert, &e.Cert}, {a.target.key, &e.Key}} {
		if f.flag != "" {
			*f.field = f.flag
		}
	}
	return e
}

// explain says which controller did not answer, why that one was asked, and, if nobody
// seems to be there, how to choose another.
func (a *app) explain(err error) error {
	c := a.target.chosen
	var nobody *api.UnreachableError
	if c.endpoint.Address == "" || !errors.As(err, &nobody) {
		return err
	}
	if nobody.Why != "" {
		return fmt.Errorf("%w (%s)", nobody, c.why)
	}
	cause := nobody.Err
	var dial *net.OpError
	if errors.As(cause, &dial) && dial.Op == "dial" {
		cause = dial.Err // without the address, which is said already
	}
	return errors.Join(
		fmt.Errorf("no controller answers at %s (%s): %w", c.endpoint.Address, c.why, cause),
		errors.New("start one with `sarn server` or `sarn lab up`, or choose another: see `sarn help environment`"),
	)
}
