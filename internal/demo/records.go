package demo

import (
	"context"
	"fmt"
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/miekg/dns"
)

// Register gives a name to the demo's owner, with a resolver (zero: none), and its ancestors where they
// are not registered yet. The name is dotted and normalised, as UTF-8.
func (c *Chain) Register(ctx context.Context, name string, resolver common.Address) error {
	name = strings.TrimSuffix(name, ".")
	var txs []Tx
	for parent := parentOf(name); parent != ""; parent = parentOf(parent) {
		exists, err := c.registered(ctx, parent)
		if err != nil {
			return err
		}
		if exists {
			break
		}
		tx, err := c.register(parent, zero())
		if err != nil {
			return err
		}
		txs = append([]Tx{tx}, txs...) // from the top down
	}
	tx, err := c.register(name, resolver)
	if err != nil {
		return err
	}
	return c.Apply(ctx, append(txs, tx)...)
}

func (c *Chain) registered(ctx context.Context, name string) (bool, error) {
	call, err := Pack(Registry, "recordExists(bytes32)", Namehash(name))
	if err != nil {
		return false, err
	}
	output, reverted, err := c.Call(ctx, c.Registry, call)
	if err != nil || reverted {
		return false, fmt.Errorf("registry: reverted %v: %w", reverted, err)
	}
	values, err := Unpack(Registry, "recordExists(bytes32)", output)
	if err != nil {
		return false, err
	}
	return values[0].(bool), nil
}

func parentOf(name string) string {
	_, parent, _ := strings.Cut(name, ".")
	return parent
}

// SetOwner gives a name away; zero lets go of it. Nothing can be set for it by c afterwards.
func (c *Chain) SetOwner(ctx context.Context, name string, owner common.Address) error {
	return c.write(ctx, c.Registry, Registry, "setOwner(bytes32,address)", Namehash(name), owner)
}

// SetResolver changes a name's resolver.
func (c *Chain) SetResolver(ctx context.Context, name string, resolver common.Address) error {
	return c.write(ctx, c.Registry, Registry, "setResolver(bytes32,address)", Namehash(name), resolver)
}

// SetDNSRecords stores EIP-1185 records, in presentation form, with the zone of that name (whose resolver
// must be c.Resolver). Each RRset among them replaces the one that was there.
func (c *Chain) SetDNSRecords(ctx context.Context, zone string, records ...string) error {
	wire, err := packRRs(records)
	if err != nil {
		return err
	}
	return c.SetDNSWire(ctx, zone, wire)
}

// SetDNSWire is SetDNSRecords for records in uncompressed wire form, whatever they say.
func (c *Chain) SetDNSWire(ctx context.Context, zone string, wire []byte) error {
	return c.write(ctx, c.Resolver, Resolver, "setDNSRecords(bytes32,bytes)", Namehash(zone), wire)
}

// DeleteDNSRecords deletes one RRset.
func (c *Chain) DeleteDNSRecords(ctx context.Context, zone, owner string, rrtype uint16) error {
	header := dns.RR_Header{Name: dns.Fqdn(owner), Rrtype: rrtype, Class: dns.ClassINET}
	wire, err := packRR(&dns.ANY{Hdr: header}) // a record without data is the sign for it
	if err != nil {
		return err
	}
	return c.SetDNSWire(ctx, zone, wire)
}

// SetContenthash stores a binary content hash (ENSIP-7); nil deletes it.
func (c *Chain) SetContenthash(ctx context.Context, name string, hash []byte) error {
	return c.write(ctx, c.Resolver, Resolver, "setContenthash(bytes32,bytes)", Namehash(name), hash)
}

// SetText stores a text record (ENSIP-5).
func (c *Chain) SetText(ctx context.Context, name, key, value string) error {
	return c.write(ctx, c.Resolver, Resolver, "setText(bytes32,string,string)", Namehash(name), key, value)
}

// SetAddr stores a binary address (ENSIP-9) of a coin type (SLIP-44, ENSIP-11).
func (c *Chain) SetAddr(ctx context.Context, name string, coinType uint64, address []byte) error {
	coin := new(big.Int).SetUint64(coinType)
	return c.write(ctx, c.Resolver, Resolver, "setAddr(bytes32,uint256,bytes)", Namehash(name), coin, address)
}

// ClearRecords drops all records of a name.
func (c *Chain) ClearRecords(ctx context.Context, name string) error {
	return c.write(ctx, c.Resolver, Resolver, "clearRecords(bytes32)", Namehash(name))
}

// write makes a transaction of one call.
func (c *Chain) write(ctx context.Context, to common.Address, contract Contract, signature string, args ...any) error {
	data, err := Pack(contract, signature, args...)
	if err != nil {
		return err
	}
	return c.Apply(ctx, Tx{To: &to, Data: data})
}

// register is the transaction that registers a name below one that c.Owner has.
func (c *Chain) register(name string, resolver common.Address) (Tx, error) {
	label, parent, _ := strings.Cut(name, ".")
	data, err := Pack(Registry, "setSubnodeRecord(bytes32,bytes32,address,address,uint64)",
		Namehash(parent), labelhash(label), c.Owner, resolver, uint64(0))
	return Tx{To: &c.Registry, Data: data}, err
}
