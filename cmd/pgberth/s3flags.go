package main

import (
	"cmp"

	"github.com/spf13/pflag"

	"github.com/pgberth/pgberth/repository"
)

// s3Flags say how the bucket of a repository is reached. Credentials are none of them: those come from the environment and the AWS files.
type s3Flags struct {
	endpoint, region string
	pathStyle        choice
}

func (f *s3Flags) add(flags *pflag.FlagSet) {
	f.pathStyle = newPathStyle()
	flags.StringVar(&f.endpoint, "s3-endpoint", "", "the S3 store, a `URL` such as https://HOST:PORT (default AWS_ENDPOINT_URL,\nelse Amazon)")
	flags.StringVar(&f.region, "s3-region", "", "the bucket's `REGION` (default AWS_REGION, else what the store says)")
	flags.Var(&f.pathStyle, "s3-path-style", "whether the bucket stands in the path of the store's URLs, not in the\nname of its host (default never at Amazon and Google, else always)")
	flags.Lookup("s3-path-style").NoOptDefVal = string(repository.PathStyleAlways)
}

// addTarget is for the second repository of a command.
func (f *s3Flags) addTarget(flags *pflag.FlagSet) {
	f.pathStyle = newPathStyle()
	flags.StringVar(&f.endpoint, "to-s3-endpoint", "", "the S3 store of --to-repo, a `URL` (default that of --s3-endpoint)")
	flags.StringVar(&f.region, "to-s3-region", "", "the `REGION` of its bucket (default that of --s3-region)")
	flags.Var(&f.pathStyle, "to-s3-path-style", "like --s3-path-style, for --to-repo")
	flags.Lookup("to-s3-path-style").NoOptDefVal = string(repository.PathStyleAlways)
}

// or fills in what was left open from f by what other says.
func (f s3Flags) or(other s3Flags) s3Flags {
	f.endpoint, f.region = cmp.Or(f.endpoint, other.endpoint), cmp.Or(f.region, other.region)
	f.pathStyle.value = cmp.Or(f.pathStyle.value, other.pathStyle.value)
	return f
}

func newPathStyle() choice {
	return choice{allowed: []string{string(repository.PathStyleAlways), string(repository.PathStyleNever)}}
}

func (f *s3Flags) options() repository.S3Options {
	return repository.S3Options{Endpoint: f.endpoint, Region: f.region, PathStyle: repository.PathStyle(f.pathStyle.value)}
}
