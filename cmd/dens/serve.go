package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"dens/configs"
)

// shutdownTime is how long queries under way have to be answered once dens is told to end.
const shutdownTime = 10 * time.Second

func newServe() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve DNS",
		Long: `serve answers DNS questions until it is told to end.

Without --config it listens on port 53 of this machine's loopback addresses, proves names of ENS from blocks
that two of three public RPC backends agree on, and resolves all else from the root, with DNSSEC.

A configuration can have it listen by UDP and TCP (listen.dns), over TLS (listen.dot), over HTTPS with HTTP/1.1,
HTTP/2 and HTTP/3 (listen.doh), and over QUIC (listen.doq), with a certificate from files, from an ACME server, or
one that it signs itself and logs the pin of. The log names all that it listens on.

SIGHUP reads the configuration file anew; a broken file is refused, and the old one stays in force.
SIGTERM and SIGINT end the server when the queries under way are answered.`,
		Example: `  dens serve
  dens serve --config /etc/dens/dens.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(path)
			if err != nil {
				return err
			}
			log := newLogger(cfg.Log, cmd.ErrOrStderr())
			return serve(cmd.Context(), cfg, log, func() (*configs.Config, error) { return loadConfig(path) }, nil)
		},
	}
	addConfigFlag(cmd, &path)
	return cmd
}

// serve runs a daemon until ctx ends, and reloads it at each SIGHUP with what load returns. started, if
// any, is called once the daemon listens.
func serve(ctx context.Context, cfg *configs.Config, log *slog.Logger, load func() (*configs.Config, error), started func(*daemonState) error) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)

	d, err := startDaemon(cfg, log)
	if err != nil {
		return err
	}
	notify(log, daemon.SdNotifyReady)
	if started != nil {
		if err := started(d); err != nil {
			return errors.Join(err, d.shutdown(shutdownTime))
		}
	}
	for {
		select {
		case <-hangup:
			// With the time systemd tells a reload from one that it asked for later (Type=notify-reload).
			notify(log, daemon.SdNotifyReloading+"\n"+daemon.SdNotifyMonotonicUsec())
			if err := d.reloadFrom(ctx, load); err != nil {
				log.Error("not reloaded, the old configuration stays in force", "error", err)
			} else {
				log.Info("reloaded")
			}
			notify(log, daemon.SdNotifyReady)
		case err := <-d.failed:
			return errors.Join(err, d.shutdown(shutdownTime))
		case <-ctx.Done():
			notify(log, daemon.SdNotifyStopping)
			log.Info("ending")
			return d.shutdown(shutdownTime)
		}
	}
}

// notify tells systemd, where dens runs below it (sd_notify(3)).
func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("systemd is not told", "error", err)
	}
}
