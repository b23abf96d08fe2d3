// Command s3server serves a directory as an S3 store, for tests: Versity's gateway, without its command line and what that brings along.
//
//	s3server DIRECTORY
//
// The directories in DIRECTORY are the buckets. Credentials come from ROOT_ACCESS_KEY and ROOT_SECRET_KEY. It listens on a free
// port of this machine, writes its address to standard output, and ends when its standard input does, as it does with the test.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3api"
	"github.com/versity/versitygw/s3api/middlewares"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: s3server DIRECTORY")
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	if err := serve(os.Args[1], os.Getenv("ROOT_ACCESS_KEY"), os.Getenv("ROOT_SECRET_KEY")); err != nil {
		log.Fatal(err)
	}
}

func serve(dir, access, secret string) error {
	// Only in extended attributes an object's metadata changes at the same moment as its content.
	if err := (meta.XattrMeta{}).Test(dir); err != nil {
		return fmt.Errorf("%s is on a file system without extended attributes: %w", dir, err)
	}
	stdout := os.Stdout
	os.Stdout = os.Stderr // the library writes what it does
	backend, err := posix.New(dir, meta.XattrMeta{}, posix.PosixOpts{})
	if err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	iam := auth.NewIAMServiceSingle(auth.Account{Access: access, Secret: secret, Role: auth.RoleAdmin})
	server, err := s3api.New(backend, middlewares.RootUserConfig{Access: access, Secret: secret}, "us-east-1", iam, nil, nil, nil, nil,
		s3api.WithQuiet(), s3api.WithConcurrencyLimiter(1000, 1000), s3api.WithMpMaxParts(10_000))
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, address)
	return server.ServeMultiPort([]string{address})
}

// freeAddress finds an address that nobody else has. The server takes no listener, and a port of 127.0.0.1 could be taken before the server
// does: where every address in 127.0.0.0/8 is this machine's, each process has one of its own.
func freeAddress() (string, error) {
	pid := os.Getpid()
	listener, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+pid>>16%254, pid>>8&255, pid&255))
	if err != nil {
		listener, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
