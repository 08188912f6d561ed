// Checks an audit with Go's own implementation of the same formats: the note, the tree, and a proof of each entry.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(path string) string {
	bytes, err := os.ReadFile(path)
	check(err)
	return string(bytes)
}

// Usage: check <folder of the audit> <folder with proofs named by entry> <file with the lines in order>
func main() {
	folder, proofs, linesFile := os.Args[1], os.Args[2], os.Args[3]
	verifier, err := note.NewVerifier(strings.TrimSpace(read(filepath.Join(folder, "audit.public-key"))))
	check(err)
	signed, err := note.Open([]byte(read(filepath.Join(folder, "audit.checkpoint"))), note.VerifierList(verifier))
	check(err)
	fields := strings.Split(signed.Text, "\n")
	size, err := strconv.ParseInt(fields[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(fields[2])
	check(err)

	lines := strings.Split(strings.TrimSuffix(read(linesFile), "\n"), "\n")
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var hashes []tlog.Hash
		for _, index := range indexes {
			hashes = append(hashes, stored[index])
		}
		return hashes, nil
	})
	for index, line := range lines {
		hashes, err := tlog.StoredHashes(int64(index), []byte(line), reader)
		check(err)
		stored = append(stored, hashes...)
	}
	computed, err := tlog.TreeHash(size, reader)
	check(err)
	if int64(len(lines)) != size || computed != root {
		check(fmt.Errorf("the tree of %d lines is not the signed one of %d", len(lines), size))
	}
	for index, line := range lines {
		parts := strings.Split(strings.Split(read(filepath.Join(proofs, strconv.Itoa(index))), "\n\n")[0], "\n")
		var proof tlog.RecordProof
		for _, text := range parts[2:] {
			hash, err := tlog.ParseHash(text)
			check(err)
			proof = append(proof, hash)
		}
		check(tlog.CheckRecord(proof, size, root, int64(index), tlog.RecordHash([]byte(line))))
	}
	fmt.Printf("%d entries\n", size)
}
