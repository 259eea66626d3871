package main

import (
	"bytes"
	"strings"
	"testing"

	"dens/configs"
)

func TestUnlimited(t *testing.T) {
	const open = "access: { allow: [any], rate: 0 }\n"
	for _, tt := range []struct {
		story, text string
		warned      bool
	}{
		{"the world at any rate", "listen: { dns: ['0.0.0.0:53'] }\n" + open, true},
		{"with a rate", "listen: { dns: ['0.0.0.0:53'] }\naccess: { allow: [any], rate: 20 }\n", false},
		{"with the rate that is given by itself", "listen: { dns: ['0.0.0.0:53'] }\naccess: { allow: [any] }\n", false},
		{"not the world", "listen: { dns: ['0.0.0.0:53'] }\naccess: { allow: [private], rate: 0 }\n", false},
		{"on loopback alone", "listen: { dns: ['127.0.0.1:53', '[::1]:53'] }\n" + open, false},
	} {
		cfg, err := configs.Parse("dens.yaml", []byte(tt.text), nil)
		if err != nil {
			t.Fatalf("%s: %v", tt.story, err)
		}
		var out bytes.Buffer
		printUnlimited(&out, cfg)
		if got := strings.HasPrefix(out.String(), "dens.yaml:2: access.rate: 0, so that"); got != tt.warned || !tt.warned && out.Len() > 0 {
			t.Errorf("%s: %q", tt.story, out.String())
		}
	}
}
