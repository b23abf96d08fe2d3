package repository

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/s3utils"
)

// S3Options say how an S3 store is reached. What is empty comes from the environment, as with the AWS tools: AWS_ENDPOINT_URL_S3 or
// AWS_ENDPOINT_URL, AWS_REGION or AWS_DEFAULT_REGION. Without an endpoint it is Amazon's. Credentials come from the environment, the
// AWS files, or the machine's role, and never from here.
type S3Options struct {
	Endpoint  string // URL, or HOST:PORT for https
	Region    string
	PathStyle PathStyle
}

// PathStyle is whether a bucket's name is in the path of URLs or in the name of the host.
type PathStyle string

// Automatic path style is right for Amazon, Google and Aliyun, whose buckets are hosts, and for everything that runs on one's own machines.
const (
	PathStyleAuto   PathStyle = ""
	PathStyleAlways PathStyle = "always"
	PathStyleNever  PathStyle = "never"
)

// s3Store is a store in a bucket. An object appears when the store has all of it, which is what S3 promises of a PUT and of
// the completion of a multipart upload, and pgberth looks afterwards.
type s3Store struct {
	core      *minio.Core
	transport *http.Transport
	endpoint  string // for messages
	bucket    string
	prefix    string // empty, or ends with a slash
	retry     retrying
	lease     time.Duration

	conditions sync.Mutex
	honours    bool // conditional writes, as was seen
}

var _ Store = (*s3Store)(nil)

const s3Scheme = "s3://"

// openS3 opens the store at s3://BUCKET/PREFIX, and asks the bucket whether it may. Errors do not repeat a location that is none.
func openS3(ctx context.Context, location string, o S3Options) (*s3Store, error) {
	s, err := newS3(location, o)
	if err != nil {
		return nil, err
	}
	if err := s.check(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("open repository %s: %w", s, err)
	}
	return s, nil
}

func newS3(location string, o S3Options) (*s3Store, error) {
	bucket, prefix, err := parseS3(location)
	if err != nil {
		return nil, err
	}
	endpoint, err := s3Endpoint(o)
	if err != nil {
		return nil, err
	}
	transport, err := s3Transport()
	if err != nil {
		return nil, err
	}
	core, err := minio.NewCore(endpoint.Host, &minio.Options{
		Creds:        s3Credentials(),
		Secure:       endpoint.Scheme == "https",
		Transport:    transport,
		Region:       s3Region(o),
		BucketLookup: bucketLookup(o.PathStyle),
		MaxRetries:   1, // see retrying
	})
	if err != nil {
		return nil, fmt.Errorf("open repository %s: %w", s3Scheme+bucket, err)
	}
	core.SetAppInfo("pgberth", "1")
	return &s3Store{core: core, transport: transport, endpoint: endpoint.String(), bucket: bucket, prefix: prefix, retry: s3Retrying, lease: s3Lease}, nil
}

// parseS3 reads s3://BUCKET/PREFIX.
func parseS3(location string) (bucket, prefix string, err error) {
	const want = "a repository in a bucket is s3://BUCKET/PREFIX"
	rest, ok := strings.CutPrefix(location, s3Scheme)
	if !ok {
		return "", "", &LocationError{want}
	}
	bucket, prefix, _ = strings.Cut(rest, "/")
	if strings.ContainsAny(rest, "@?#") || strings.Contains(bucket, ":") {
		return "", "", &LocationError{want + ", without credentials and options: those come from the environment and from flags"}
	}
	if err := s3utils.CheckValidBucketName(bucket); err != nil {
		return "", "", &LocationError{want + ": " + err.Error()}
	}
	if prefix = strings.Trim(prefix, "/"); prefix == "" {
		return bucket, "", nil
	}
	if err := checkKey(prefix); err != nil {
		return "", "", &LocationError{want + "; no name in PREFIX may be empty or start with a dot"}
	}
	return bucket, prefix + "/", nil
}

// check lists, which asks for credentials, bucket, region and clock at once, and is answered in more words than other requests.
func (s *s3Store) check(ctx context.Context) error {
	retry := s.retry
	retry.tries = min(retry.tries, 3) // somebody may be waiting who has mistyped an address
	err := retry.do(ctx, func(ctx context.Context) error {
		for object := range s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix, MaxKeys: 1}) {
			return object.Err
		}
		return ctx.Err()
	})
	return s.explain(err)
}

func (s *s3Store) String() string {
	return strings.TrimSuffix(s3Scheme+s.bucket+"/"+s.prefix, "/")
}

// Close closes idle connections.
func (s *s3Store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}
