package configs

import "testing"

// Who opens a server to the world gets a limit, unless he says that there is to be none.
func TestRateOfOpenServers(t *testing.T) {
	tests := []struct {
		access string
		want   float64
	}{
		{`{}`, 0},
		{`{allow: [loopback, private]}`, 0},
		{`{allow: ["10.0.0.0/8", "fc00::/7", "fe80::/10", "127.0.0.0/8"]}`, 0},
		{`{allow: ["192.0.2.0/24", "198.18.0.0/15", "2001:db8::/32"]}`, 0},
		{`{allow: [any]}`, openRate},
		{`{allow: ["::/0"]}`, openRate},
		{`{allow: [private, "8.0.0.0/8"]}`, openRate},
		{`{allow: ["2000::/3"]}`, openRate},
		{`{allow: ["0.0.0.0/1", "128.0.0.0/1"]}`, openRate},
		{`{allow: [any], rate: 0}`, 0},
		{`{allow: [any], rate: 7}`, 7},
		{`{allow: [loopback], rate: 7}`, 7},
	}
	for _, tt := range tests {
		cfg, err := Parse("test.yaml", []byte("access: "+tt.access), nil)
		if err != nil {
			t.Errorf("%s: %v", tt.access, err)
		} else if cfg.Access.Rate != tt.want {
			t.Errorf("%s: rate %v, want %v", tt.access, cfg.Access.Rate, tt.want)
		}
	}
}
