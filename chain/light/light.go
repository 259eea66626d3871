// Package light is the core of a light client of Ethereum's consensus (consensus specifications,
// altair/light-client): from one block that is believed, it proves later ones by the signatures of sync
// committees. It is pure: nothing here reads a clock, a file or a network.
package light
