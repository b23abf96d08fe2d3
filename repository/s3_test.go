package repository

import (
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// quickRetry tries as often as the real one does, without the waiting.
var quickRetry = retrying{tries: 8, pause: time.Millisecond, limit: 10 * time.Millisecond}

// testS3 starts a server, and lets this process use it.
func testS3(t testing.TB) *pgtest.S3Server {
	t.Helper()
	server := pgtest.S3(t)
	server.Setenv(t)
	return server
}

// openTestS3 opens a store in the bucket of a server, below a prefix.
func openTestS3(t testing.TB, endpoint, location string) *s3Store {
	t.Helper()
	s, err := openS3(t.Context(), location, S3Options{Endpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	s.retry = quickRetry
	t.Cleanup(func() { s.Close() })
	return s
}

func TestS3Store(t *testing.T) {
	server := testS3(t)
	testStore(t, func(t *testing.T) Store {
		return openTestS3(t, server.Endpoint, "s3://"+server.Bucket+"/"+t.Name())
	})
}

func TestParseS3(t *testing.T) {
	for location, want := range map[string][2]string{
		"s3://bucket":             {"bucket", ""},
		"s3://bucket/":            {"bucket", ""},
		"s3://bucket/pg":          {"bucket", "pg/"},
		"s3://bucket/a/b/":        {"bucket", "a/b/"},
		"s3://":                   {},
		"s3:///a":                 {},
		"s3://b":                  {}, // too short for a bucket
		"s3://bucket/a//b":        {},
		"s3://bucket/../x":        {},
		"s3://bucket/.locks":      {},
		"s3://key:canary@bucket/": {},
		"s3://bucket:9000/canary": {},
		"s3://bucket/canary?x=y":  {},
	} {
		bucket, prefix, err := parseS3(location)
		if got := [2]string{bucket, prefix}; got != want || (err == nil) != (want[0] != "") {
			t.Errorf("%s: %q, %v", location, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s is repeated: %v", location, err)
		}
	}
}

func TestS3Endpoint(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL_S3", "")
	t.Setenv("AWS_ENDPOINT_URL", "https://from.environment:1")
	for given, want := range map[string]string{
		"":                       "https://from.environment:1",
		"minio:9000":             "https://minio:9000",
		"http://minio:9000/":     "http://minio:9000",
		"ftp://minio":            "",
		"https://":               "",
		"https://u:canary@minio": "",
		"https://minio/canary":   "",
		"https://minio/?canary":  "",
		"https://mi nio:canary":  "",
	} {
		u, err := s3Endpoint(S3Options{Endpoint: given})
		if (err == nil) != (want != "") || err == nil && u.String() != want {
			t.Errorf("%s: %v, %v", given, u, err)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s is repeated: %v", given, err)
		}
	}
}

// TestS3Complaints opens stores that cannot be used, and wants to hear what helps and no secret.
func TestS3Complaints(t *testing.T) {
	server := testS3(t)
	answer := func(status int, code string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<Error><Code>"+code+"</Code><Message>no</Message><Region>eu-west-1</Region></Error>")
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	tls := httptest.NewUnstartedServer(nil)
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	defer tls.Close()
	for name, test := range map[string]struct {
		bucket, endpoint string
		env              map[string]string
		want             string
	}{
		"no bucket":      {bucket: "nobucket", want: "there is no bucket nobucket at http://127"},
		"unknown key":    {endpoint: answer(403, "InvalidAccessKeyId"), want: "does not know the credentials"},
		"wrong secret":   {env: map[string]string{"AWS_SECRET_ACCESS_KEY": "canary-other"}, want: "check AWS_SECRET_ACCESS_KEY"},
		"wrong region":   {env: map[string]string{"AWS_REGION": "eu-west-1"}, want: "give --s3-region us-east-1"},
		"other region":   {endpoint: answer(400, "AuthorizationHeaderMalformed"), want: "give --s3-region eu-west-1"},
		"denied":         {endpoint: answer(403, "AccessDenied"), want: "the credentials need s3:ListBucket"},
		"clock":          {endpoint: answer(403, "RequestTimeTooSkewed"), want: "set this host's clock"},
		"overloaded":     {endpoint: answer(503, "SlowDown"), want: "overloaded"},
		"unreachable":    {endpoint: closed.URL, want: "cannot be reached: "},
		"unknown host":   {endpoint: "http://nobody.invalid", want: "the host of http://nobody.invalid is not known"},
		"not TLS":        {endpoint: strings.Replace(server.Endpoint, "http:", "https:", 1), want: "give --s3-endpoint http://HOST:PORT"},
		"unknown CA":     {endpoint: tls.URL, want: "AWS_CA_BUNDLE names a file"},
		"no credentials": {env: map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_EC2_METADATA_DISABLED": "true", "HOME": t.TempDir()}, want: "no S3 credentials: set AWS_ACCESS_KEY_ID"},
		"no profile":     {env: map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_PROFILE": "nightly", "HOME": t.TempDir()}, want: "get S3 credentials: "},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			if test.bucket == "" {
				test.bucket = server.Bucket
			}
			if test.endpoint == "" {
				test.endpoint = server.Endpoint
			}
			s, err := newS3("s3://"+test.bucket+"/pg", S3Options{Endpoint: test.endpoint})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			s.retry = quickRetry
			if err = s.check(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("%v\nwant ... %s ...", err, test.want)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("a secret is shown: %v", err)
			}
			if errors.Is(err, ErrNotFound) != (name == "no bucket") {
				t.Errorf("not found: %v", err)
			}
			var deep *explained
			if errors.As(err, &deep) && strings.Contains(deep.err.Error(), "canary") {
				t.Errorf("a secret is in: %v", deep.err)
			}
		})
	}
}

// TestS3Profile takes credentials from a profile of a file.
func TestS3Profile(t *testing.T) {
	server := testS3(t)
	file := t.TempDir() + "/credentials"
	content := "[nightly]\naws_access_key_id = " + pgtest.S3AccessKey + "\naws_secret_access_key = " + pgtest.S3SecretKey + "\n"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	t.Setenv("AWS_PROFILE", "nightly")
	put(t, openTestS3(t, server.Endpoint, "s3://"+server.Bucket), "shop/1/x", "content")
}

// TestS3TLS reaches a store whose certificate only AWS_CA_BUNDLE makes good.
func TestS3TLS(t *testing.T) {
	server := testS3(t)
	front := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reverseTo(t, server, r).ServeHTTP(w, r)
	}))
	defer front.Close()
	bundle := t.TempDir() + "/ca.pem"
	if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	s := openTestS3(t, front.URL, "s3://"+server.Bucket+"/tls")
	if err := store(t, s, "shop/1/x", minPart+1, -1).Commit(); err != nil {
		t.Fatal(err)
	}
	wantNoise(t, s, "shop/1/x", minPart+1)
	giveBack(t, mustLock(t, s, "shop", testOwner(s, "pgberth dump")))
}
