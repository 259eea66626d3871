//go:build !linux

package main

func trimImage() {}
