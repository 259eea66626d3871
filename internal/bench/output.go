package main

import (
	"encoding/json"
	"fmt"
	"os"

	"dens/internal/bench/report"
)

// write writes the files that the options ask for.
func write(o options, found *report.Report) error {
	if o.json != "" {
		data, err := json.MarshalIndent(found, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.json, append(data, '\n'), 0o644); err != nil {
			return err
		}
	}
	if o.svg != "" {
		return os.WriteFile(o.svg, found.SVG(), 0o644)
	}
	return nil
}

// redraw draws what an earlier run found.
func redraw(o options) error {
	data, err := os.ReadFile(o.from)
	if err != nil {
		return err
	}
	var found report.Report
	if err := json.Unmarshal(data, &found); err != nil {
		return fmt.Errorf("%s: %w", o.from, err)
	}
	return os.WriteFile(o.svg, found.SVG(), 0o644)
}
