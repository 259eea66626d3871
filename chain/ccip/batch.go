package ccip

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"dens/chain"
)

// batchGateway stands for the batch gateway that a client is itself (ENSIP-21).
const batchGateway = "x-batch-gateway:true"

// nobody stands in the place of a gateway where a look-up of a batch failed before a host could be asked:
// what the contract makes of that failure is not the chain's word alone.
const nobody = "x-batch-gateway"

var (
	selectorQuery     = [4]byte{0xa7, 0x80, 0xba, 0xb6} // query((address,string[],bytes)[])
	selectorHTTPError = [4]byte{0x01, 0x80, 0x01, 0x52} // HttpError(uint16,string)
	selectorError     = [4]byte{0x08, 0xc3, 0x79, 0xa0} // Error(string)
)

// decodeBatch decodes the call data of a batch gateway's query.
func decodeBatch(data []byte) ([]request, error) {
	if len(data) < 4 || [4]byte(data) != selectorQuery {
		return nil, fmt.Errorf("%w: no query of a batch gateway", errABI)
	}
	elements, n, err := abiData(data[4:]).array(0, maxBatch)
	if err != nil {
		return nil, fmt.Errorf("batch: %w", err)
	}
	all := make([]request, n)
	for i := range all {
		tuple, err := elements.tail(i)
		if err != nil {
			return nil, err
		}
		if all[i], err = decodeRequest(tuple); err != nil {
			return nil, fmt.Errorf("element %d of a batch: %w", i, err)
		}
	}
	return all, nil
}

// encodeBatch returns (bool[] failures, bytes[] responses).
func encodeBatch(failures []bool, responses [][]byte) []byte {
	heads := word * (1 + len(failures))
	size := 2*word + 2*heads
	for _, r := range responses {
		size += bytesSize(r)
	}
	out := make([]byte, 0, size)
	out = appendUint(out, 2*word)
	out = appendUint(out, 2*word+heads)
	out = appendUint(out, len(failures))
	for _, failed := range failures {
		bit := 0
		if failed {
			bit = 1
		}
		out = appendUint(out, bit)
	}
	out = appendUint(out, len(responses))
	at := word * len(responses)
	for _, r := range responses {
		out = appendUint(out, at)
		at += bytesSize(r)
	}
	for _, r := range responses {
		out = appendBytes(out, r)
	}
	return out
}

// batch answers a batch gateway's query: each look-up in it is made, and those that fail say so in their
// own element. The hosts are those that said something or failed to. An error means that the query is none,
// or over a bound.
func (f *fetcher) batch(ctx context.Context, data []byte, depth int) ([]byte, []string, error) {
	if depth >= maxBatchDepth {
		return nil, nil, fmt.Errorf("%w: batches nested deeper than %d", chain.ErrLimit, maxBatchDepth)
	}
	requests, err := decodeBatch(data)
	if err != nil {
		return nil, nil, err
	}
	if err := f.budget.lookups(len(requests)); err != nil {
		return nil, nil, err
	}
	failures, responses, hosts := make([]bool, len(requests)), make([][]byte, len(requests)), make([][]string, len(requests))
	var wg sync.WaitGroup
	for i, r := range requests {
		wg.Go(func() {
			var err error
			if responses[i], hosts[i], err = f.ask(ctx, r, depth+1); err != nil {
				failures[i], responses[i] = true, encodeFailure(err)
				if len(hosts[i]) == 0 {
					hosts[i] = []string{nobody}
				}
			}
		})
	}
	wg.Wait()
	var all []string
	for _, h := range hosts {
		all = union(all, h)
	}
	size := 0
	for _, r := range responses {
		size += bytesSize(r)
	}
	if size > maxBody {
		return nil, nil, fmt.Errorf("%w: a batch's answers of %d bytes", chain.ErrLimit, size)
	}
	return encodeBatch(failures, responses), all, nil
}

// encodeFailure tells the contract why an element of a batch failed.
func encodeFailure(err error) []byte {
	message := []byte(clean(err.Error()))
	var status *statusError
	if errors.As(err, &status) {
		out := appendUint(selectorHTTPError[:len(selectorHTTPError):len(selectorHTTPError)], status.code)
		out = appendUint(out, 2*word)
		return appendBytes(out, []byte(status.message))
	}
	out := appendUint(selectorError[:len(selectorError):len(selectorError)], word)
	return appendBytes(out, message)
}
