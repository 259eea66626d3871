package main

import (
	"io"
	"log/slog"
	"os"

	"dens/configs"
)

// loadConfig reads a configuration file; "" is the built-in defaults.
func loadConfig(path string) (*configs.Config, error) {
	if path == "" {
		return configs.Default(), nil
	}
	return configs.Load(path, os.LookupEnv)
}

func newLogger(cfg configs.Log, out io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: cfg.Level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(out, opts))
	}
	return slog.New(slog.NewTextHandler(out, opts))
}

// quietLogger is for commands that print what they find out themselves.
func quietLogger() *slog.Logger { return slog.New(slog.DiscardHandler) }
