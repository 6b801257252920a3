// Checks what Consign makes with golang.org/x/mod/sumdb, the original code of notes, tiles and proofs.
//
// Reads cases as JSON from standard input; answers, for each case of a kind that it knows, whether the
// package accepts it. What is genuine and what is forged it is not told.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type testCase struct {
	Name, Kind       string
	Vkey, Note       string
	Leaf, Root       []byte
	Index, Size      int64
	Path             [][]byte
	From, To         int64
	FromRoot, ToRoot []byte
	Files            map[string][]byte
	Entries          [][]byte
}

func main() {
	var cases []testCase
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	answers := map[string]bool{}
	for _, c := range cases {
		check, known := map[string]func(testCase) error{
			"checkpoint": checkpoint, "inclusion": inclusion, "consistency": consistency, "tiles": tiles,
		}[c.Kind]
		if known {
			answers[c.Name] = check(c) == nil
		}
	}
	json.NewEncoder(os.Stdout).Encode(answers)
}

func checkpoint(c testCase) error {
	verifier, err := note.NewVerifier(c.Vkey)
	if err != nil {
		return err
	}
	opened, err := note.Open([]byte(c.Note), note.VerifierList(verifier))
	if err != nil {
		return err
	}
	root := base64.StdEncoding.EncodeToString(c.Root)
	if opened.Text != fmt.Sprintf("%s\n%d\n%s\n", verifier.Name(), c.Size, root) {
		return fmt.Errorf("another log, size or root")
	}
	return nil
}

func inclusion(c testCase) error {
	return tlog.CheckRecord(hashes(c.Path), c.Size, hash(c.Root), c.Index, tlog.RecordHash(c.Leaf))
}

func consistency(c testCase) error {
	return tlog.CheckTree(hashes(c.Path), c.To, hash(c.ToRoot), c.From, hash(c.FromRoot))
}

// Every leaf hash, read through tiles that are checked against the root, is that of its entry.
func tiles(c testCase) error {
	tree := tlog.Tree{N: c.Size, Hash: hash(c.Root)}
	reader := tlog.TileHashReader(tree, files(c.Files))
	if int64(len(c.Entries)) != c.Size {
		return fmt.Errorf("%d entries", len(c.Entries))
	}
	var indexes []int64
	for i := range c.Entries {
		indexes = append(indexes, tlog.StoredHashIndex(0, int64(i)))
	}
	read, err := reader.ReadHashes(indexes)
	if err != nil {
		return err
	}
	for i, entry := range c.Entries {
		if read[i] != tlog.RecordHash(entry) {
			return fmt.Errorf("entry %d", i)
		}
	}
	return nil
}

type files map[string][]byte

func (f files) Height() int { return 8 }

func (f files) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, t := range wanted {
		// C2SP leaves out the height, which is always 8.
		path := strings.Replace(t.Path(), "tile/8/", "tile/", 1)
		data, known := f[path]
		if !known {
			return nil, fmt.Errorf("no %s", path)
		}
		all = append(all, data)
	}
	return all, nil
}

func (f files) SaveTiles([]tlog.Tile, [][]byte) {}

func hash(bytes []byte) (h tlog.Hash) {
	if copy(h[:], bytes) != len(h) {
		panic("not a hash")
	}
	return h
}

func hashes(list [][]byte) []tlog.Hash {
	var all []tlog.Hash
	for _, bytes := range list {
		all = append(all, hash(bytes))
	}
	return all
}
