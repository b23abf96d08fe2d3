package repository

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
)

// retrying is how often something is done again that failed for a reason that may pass, and after which pauses: each is twice the
// one before, and a random part of it is left out so that streams that failed together do not come back together.
type retrying struct {
	tries        int
	pause, limit time.Duration
}

// s3Retrying bridges about 20 seconds: a store that restarts.
var s3Retrying = retrying{tries: 8, pause: 250 * time.Millisecond, limit: 10 * time.Second}

// do calls f until it succeeds, fails for good, or has been called often enough.
func (r retrying) do(ctx context.Context, f func(context.Context) error) error {
	for try := 1; ; try++ {
		err := f(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case try >= r.tries || !mayPass(err):
			return err
		}
		if err := r.wait(ctx, try); err != nil {
			return err
		}
	}
}

// wait pauses after a try that failed.
func (r retrying) wait(ctx context.Context, try int) error {
	pause := r.limit
	if shift := try - 1; shift < 16 {
		pause = min(pause, r.pause<<shift)
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(pause/2 + rand.N(pause/2+1)):
		return nil
	}
}

// mayPass reports whether a request that failed is worth another try. Whatever happens to a connection is.
func mayPass(err error) bool {
	var (
		answer    minio.ErrorResponse
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		name      x509.HostnameError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &answer):
		return answerMayPass(answer)
	case errors.As(err, &authority), errors.As(err, &invalid), errors.As(err, &name), errors.As(err, &record), errors.Is(err, errNoCredentials):
		return false
	}
	return true
}

func answerMayPass(answer minio.ErrorResponse) bool {
	switch answer.Code {
	case "SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling", "ThrottlingException", "RequestLimitExceeded", "RequestThrottled",
		"RequestTimeout", "InternalError", "OperationAborted", "ServiceUnavailable",
		"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody", // damaged on the way
		"ExpiredToken", "ExpiredTokenException": // of a role, which gives another
		return true
	}
	switch answer.StatusCode {
	case http.StatusNotImplemented:
		return false
	case http.StatusRequestTimeout, http.StatusTooManyRequests, 499:
		return true
	}
	return answer.StatusCode >= 500
}
