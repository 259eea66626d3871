package doq

import (
	"context"
	"io"
	"testing"

	"dens/server/intake"
)

// BenchmarkDoQ asks for hits, with 32 streams at once. Client and server share the processors.
func BenchmarkDoQ(b *testing.B) {
	f := begin(b, intake.Limits{})
	q := f.dial(b, ProtoDoQ)
	query := packed(b, question("hit.example"))
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		buf := make([]byte, 512)
		for pb.Next() {
			str, err := q.OpenStreamSync(context.Background())
			if err != nil {
				b.Error(err)
				return
			}
			if _, err := str.Write(query); err != nil {
				b.Error(err)
				return
			}
			str.Close()
			if _, err := io.ReadFull(str, buf); err != io.ErrUnexpectedEOF {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkHTTP3 does the same by HTTP/3.
func BenchmarkHTTP3(b *testing.B) {
	f := begin(b, intake.Limits{})
	c := f.browser(b)
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := fetch(c, "hit.example"); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
