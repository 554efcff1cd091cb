package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"sarn/internal/controller"
	"sarn/internal/daemon"
	"sarn/internal/store"
)

// serverFlags holds the flags of `sarn server`.
type serverFlags struct {
	store  store.Config
	listen []string
	log    logFlags
}

func (a *app) serverCommand() *cobra.Command {
	var s serverFlags
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run a controller",
		Long: `Keeps what the network should be, serves the API and tells each node's agent what
its kernel should hold. The store is an etcd inside, in --data-dir, or an etcd cluster
at --etcd-endpoints. A TCP address that other machines can reach needs --tls-cert,
--tls-key and --tls-ca: only clients with a certificate of that authority get in.`,
		Example: `  sarn server
  sarn server --listen unix:///run/sarn/api.sock --listen 0.0.0.0:7470 --tls-cert server-controller.crt --tls-key server-controller.key --tls-ca ca.crt
  sarn server --etcd-endpoints https://10.0.0.1:2379,https://10.0.0.2:2379 --etcd-ca etcd.crt`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd, s) },
	}
	f := cmd.Flags()
	f.StringVar(&s.store.Dir, "data-dir", "/var/lib/sarn", "`directory` of the store")
	f.StringArrayVar(&s.listen, "listen", []string{"unix://" + a.defaultSocket()}, "`unix:///path` or host:port to serve the API at (one of each)")
	f.StringSliceVar(&s.store.Endpoints, "etcd-endpoints", nil, "`URLs` of an etcd cluster to keep the store in instead")
	f.StringVar(&s.store.CA, "etcd-ca", "", "PEM `file`: who signs the etcd cluster's certificates")
	f.StringVar(&s.store.Cert, "etcd-cert", "", "PEM `file`: the certificate to show to etcd")
	f.StringVar(&s.store.Key, "etcd-key", "", "PEM `file`: that certificate's key")
	s.log.flags(cmd)
	return cmd
}

func (a *app) serve(cmd *cobra.Command, s serverFlags) (err error) {
	log, err := s.log.logger(a.Err)
	if err != nil {
		return err
	}
	for _, flag := range []string{"server", "lab"} {
		if cmd.Flags().Changed(flag) {
			return usageError("--%s has no use with `%s`, which talks to no controller but is one; say with --listen where", flag, cmd.CommandPath())
		}
	}
	if len(s.store.Endpoints) > 0 {
		if cmd.Flags().Changed("data-dir") {
			return usageError("--data-dir and --etcd-endpoints are two stores; give one of them")
		}
		s.store.Dir = ""
	}
	conf := controller.Config{Version: a.version(), TLSCert: a.target.cert, TLSKey: a.target.key, TLSClientCA: a.target.ca}
	for _, address := range s.listen {
		if err := listenAt(&conf, address); err != nil {
			return err
		}
	}
	// What is wrong with the flags shall be told before a store is made.
	if err := errors.Join(s.store.Validate(), conf.Validate()); err != nil {
		return usageError("%w", err)
	}
	kept, err := store.Open(cmd.Context(), s.store)
	if err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	defer func() { err = errors.Join(err, kept.Close()) }()
	ctl, err := controller.New(conf, controller.Deps{Store: kept, Log: log})
	if err != nil {
		return err
	}
	return daemon.Run(cmd.Context(), log, a.Getenv("NOTIFY_SOCKET"), ctl)
}

// listenAt puts an address of --listen into its place.
func listenAt(conf *controller.Config, address string) error {
	place, value := &conf.Listen, address
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		if !strings.HasPrefix(path, "/") {
			return usageError("--listen %s is not an absolute path; write it like unix:///run/sarn/api.sock", address)
		}
		place, value = &conf.Socket, path
	}
	if *place != "" {
		return usageError("--listen %s is a second address of its kind: one socket and one TCP address is what a controller takes", address)
	}
	*place = value
	return nil
}
