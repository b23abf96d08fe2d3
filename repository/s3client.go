package repository

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// s3Stall is how long a connection may be silent in both directions. A store that puts the parts of a large object together takes its time.
const s3Stall = 2 * time.Minute

const amazonEndpoint = "https://s3.amazonaws.com"

func s3Region(o S3Options) string {
	return cmp.Or(o.Region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"))
}

// s3Endpoint is a scheme, a host and a port. Errors do not repeat what was given.
func s3Endpoint(o S3Options) (*url.URL, error) {
	given := cmp.Or(o.Endpoint, os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL"), amazonEndpoint)
	if !strings.Contains(given, "://") {
		given = "https://" + given
	}
	u, err := url.Parse(given)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("the S3 endpoint is no URL such as https://HOST:PORT")
	case u.User != nil:
		return nil, errors.New("the S3 endpoint must not hold credentials; they come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the AWS files")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the S3 endpoint has a path; it is only https://HOST:PORT, and the bucket stands in s3://BUCKET/PREFIX")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

func bucketLookup(style PathStyle) minio.BucketLookupType {
	switch style {
	case PathStyleAlways:
		return minio.BucketLookupPath
	case PathStyleNever:
		return minio.BucketLookupDNS
	}
	return minio.BucketLookupAuto
}

// s3Transport carries requests. AWS_CA_BUNDLE adds certificates to those the system trusts.
func s3Transport() (*http.Transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if bundle := os.Getenv("AWS_CA_BUNDLE"); bundle != "" {
		pem, err := os.ReadFile(bundle)
		if err != nil {
			return nil, fmt.Errorf("read AWS_CA_BUNDLE: %w", err)
		}
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			config.RootCAs = x509.NewCertPool()
		}
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("AWS_CA_BUNDLE, %s, has no certificate in it", bundle)
		}
	}
	dialer := net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return stallConn{conn, s3Stall}, nil
		},
		TLSClientConfig:       config,
		TLSHandshakeTimeout:   15 * time.Second,
		ResponseHeaderTimeout: s3Stall,
		MaxIdleConnsPerHost:   32,
		IdleConnTimeout:       30 * time.Second,
		DisableCompression:    true, // an object is what its bytes are
	}, nil
}

// stallConn fails when nothing has moved for a while. What moves in one direction keeps the other open.
type stallConn struct {
	net.Conn
	limit time.Duration
}

func (c stallConn) Read(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c stallConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// s3Credentials are those of the AWS tools: the environment, the files and their profiles, then the role of the pod, task or machine.
func s3Credentials() *credentials.Credentials {
	return credentials.New(&s3Provider{})
}

// s3Provider differs from the chain of the client library in that it says why there are no credentials, and never goes on without.
type s3Provider struct{ found credentials.Provider }

var errNoCredentials = errors.New("no S3 credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE for a profile of ~/.aws/credentials")

func (p *s3Provider) IsExpired() bool { return p.found == nil || p.found.IsExpired() }

func (p *s3Provider) Retrieve() (credentials.Value, error) { return p.RetrieveWithCredContext(nil) }

func (p *s3Provider) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	found, named := chooseProvider()
	value, err := found.RetrieveWithCredContext(cc)
	switch {
	case err != nil && !named:
		return credentials.Value{}, errNoCredentials
	case err != nil:
		return credentials.Value{}, fmt.Errorf("get S3 credentials: %w", err)
	case value.AccessKeyID == "" || value.SecretAccessKey == "":
		return credentials.Value{}, errNoCredentials
	}
	p.found = found
	return value, nil
}

// chooseProvider also says whether somebody has named it: what is wrong there is worth saying.
func chooseProvider() (_ credentials.Provider, named bool) {
	role := &credentials.IAM{Client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		Proxy:       http.ProxyFromEnvironment,
		DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext, // the service of a machine that has none is silent
	}}}
	switch {
	case os.Getenv("AWS_ACCESS_KEY_ID") != "":
		return &credentials.EnvAWS{}, true
	case os.Getenv("AWS_PROFILE") != "" || os.Getenv("AWS_SHARED_CREDENTIALS_FILE") != "":
		return &credentials.FileAWSCredentials{}, true
	case os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "" || os.Getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != "" || os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI") != "":
		return role, true
	}
	file := &credentials.FileAWSCredentials{}
	if value, err := file.RetrieveWithCredContext(nil); err == nil && value.AccessKeyID != "" {
		return file, true
	}
	if strings.EqualFold(os.Getenv("AWS_EC2_METADATA_DISABLED"), "true") {
		return file, false
	}
	return role, false
}
