package repository

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"

	"github.com/minio/minio-go/v7"
)

// named says where something failed and what helps. What is not there wraps [fs.ErrNotExist].
func (s *s3Store) named(verb, key string, err error) error {
	if isCode(err, "NoSuchKey") {
		err = fs.ErrNotExist
	}
	return fmt.Errorf("%s %s: %w", verb, s3Scheme+s.bucket+"/"+s.prefix+key, s.explain(err))
}

// isCode reports whether a store has answered with one of some error codes.
func isCode(err error, codes ...string) bool {
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return false
	}
	for _, code := range codes {
		if answer.Code == code {
			return true
		}
	}
	return false
}

// explained is an error in the words of who is to mend it.
type explained struct {
	text string
	err  error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.err }

// Is makes a bucket that is not there a repository that is not there.
func (e *explained) Is(target error) bool {
	return target == ErrNotFound && isCode(e.err, "NoSuchBucket")
}

// explain says what an error of a request means and what helps.
func (s *s3Store) explain(err error) error {
	var answer minio.ErrorResponse
	if errors.As(err, &answer) {
		return &explained{s.explainAnswer(answer), err}
	}
	var request *url.Error
	if !errors.As(err, &request) {
		return err
	}
	var (
		lookup    *net.DNSError
		authority x509.UnknownAuthorityError
		record    tls.RecordHeaderError
		dial      *net.OpError
	)
	text := fmt.Sprintf("%s: %v", s.endpoint, request.Err) // without the request's URL
	switch {
	case errors.As(err, &lookup):
		text = fmt.Sprintf("the host of %s is not known: %v; check --s3-endpoint, and --s3-path-style if the bucket's name stands in the host's", s.endpoint, lookup)
	case errors.As(err, &authority):
		text += "; AWS_CA_BUNDLE names a file with the store's certificate authority"
	case errors.As(err, &record), request.Err.Error() == "http: server gave HTTP response to HTTPS client":
		text += "; for a store without TLS give --s3-endpoint http://HOST:PORT"
	case errors.As(err, &dial) && dial.Op == "dial":
		text = fmt.Sprintf("%s cannot be reached: %v; check --s3-endpoint", s.endpoint, dial.Err)
	}
	return &explained{text, err}
}

func (s *s3Store) explainAnswer(answer minio.ErrorResponse) string {
	switch answer.Code {
	case "NoSuchBucket":
		return fmt.Sprintf("there is no bucket %s at %s; make it first, or check its name and --s3-endpoint", s.bucket, s.endpoint)
	case "AccessDenied", "AllAccessDisabled", "AccountProblem":
		return fmt.Sprintf("access denied by %s; the credentials need s3:ListBucket and s3:ListBucketMultipartUploads on the bucket %s, and s3:GetObject, s3:PutObject, "+
			"s3:DeleteObject and s3:AbortMultipartUpload on its objects", s.endpoint, s.bucket)
	case "InvalidAccessKeyId", "InvalidToken", "ExpiredToken", "ExpiredTokenException":
		return fmt.Sprintf("%s does not know the credentials, or they have expired (%s); check AWS_ACCESS_KEY_ID, AWS_SESSION_TOKEN or AWS_PROFILE", s.endpoint, answer.Code)
	case "SignatureDoesNotMatch":
		return fmt.Sprintf("%s refuses the signature; check AWS_SECRET_ACCESS_KEY and --s3-region", s.endpoint)
	case "AuthorizationHeaderMalformed", "InvalidRegion", "PermanentRedirect", "TemporaryRedirect", "IllegalLocationConstraintException":
		if answer.Region != "" {
			return fmt.Sprintf("the bucket %s is in another region; give --s3-region %s", s.bucket, answer.Region)
		}
		return fmt.Sprintf("%s expects another region (%s); give the bucket's with --s3-region", s.endpoint, answer.Message)
	case "RequestTimeTooSkewed", "RequestExpired":
		return fmt.Sprintf("the clock of this host and that of %s differ by more than 15 minutes; set this host's clock", s.endpoint)
	case "PreconditionFailed":
		return "it was changed by somebody else at the same time"
	case "EntityTooLarge":
		return fmt.Sprintf("%s takes no object of that size", s.endpoint)
	case "InsufficientStorage", "QuotaExceeded", "XMinioStorageFull":
		return fmt.Sprintf("%s is full: %s", s.endpoint, answer.Message)
	}
	if answer.StatusCode == http.StatusServiceUnavailable || answer.Code == "SlowDown" {
		return fmt.Sprintf("%s is overloaded or out of service (%s), after several tries", s.endpoint, answer.Code)
	}
	return fmt.Sprintf("%s answers %s: %s", s.endpoint, answer.Code, answer.Message)
}
