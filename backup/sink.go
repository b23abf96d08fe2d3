package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

// A sink takes the files of a backup as they are to be stored. It publishes them when they have been read back and found to
// be what was written.
type sink struct {
	draft     *repository.Draft
	check     Check
	pulse     *pulse
	reporter  progress.Reporter
	sealer    *archive.Sealer // of an encrypted backup
	published *archive.Manifest
}

var _ archive.FolderWriter = (*sink)(nil)

// newSink returns a sink, and the folder that is to be written into.
func newSink(draft *repository.Draft, recipients []archive.Recipient, check Check, p *pulse, reporter progress.Reporter) (*sink, archive.FolderWriter, error) {
	s := &sink{draft: draft, check: check, pulse: p, reporter: reporter}
	if len(recipients) == 0 {
		return s, s, nil
	}
	var err error
	if s.sealer, err = archive.Seal(s, recipients); err != nil {
		return nil, nil, err
	}
	return s, s.sealer, nil
}

func (s *sink) String() string { return s.draft.String() }
func (s *sink) Abort() error   { return s.draft.Abort() }

func (s *sink) Create(ctx context.Context, name string, size int64) (archive.FileWriter, error) {
	w, err := s.draft.Create(ctx, name, size)
	if err != nil {
		return nil, err
	}
	return pulseWriter{w, s.pulse}, nil
}

// Publish publishes what is as it was written.
func (s *sink) Publish(ctx context.Context, m *archive.Manifest) error {
	start := time.Now()
	s.reporter.Report(progress.PhaseStart{Phase: progress.ReadBack, Units: len(m.Files), Bytes: m.Size()})
	if err := s.readBack(ctx, m); err != nil {
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), err)
		}
		return fmt.Errorf("%s was read back and is not what was written: %w", s.draft, err)
	}
	s.reporter.Report(progress.PhaseEnd{Phase: progress.ReadBack, Units: len(m.Files), Bytes: m.Size(), Elapsed: time.Since(start)})
	if err := s.draft.Publish(ctx, m); err != nil {
		return err
	}
	s.published = m
	return nil
}

func (s *sink) readBack(ctx context.Context, m *archive.Manifest) error {
	stored := pulseFolder{s.draft, s.pulse}
	if s.check == CheckSizes {
		return archive.CheckSizes(ctx, stored, m)
	}
	if s.check == CheckFiles || m.Kind == archive.KindGlobals {
		return archive.CheckFiles(ctx, stored, m)
	}
	a, err := archive.OpenUnpublished(ctx, stored, m, s.sealer)
	if err != nil {
		return err
	}
	defer a.Close() // a draft has nothing to close
	_, err = archive.Verify(ctx, a)
	return err
}

// pulseWriter and pulseFolder pass bytes on, and say that they move.
type pulseWriter struct {
	archive.FileWriter
	pulse *pulse
}

func (w pulseWriter) Write(p []byte) (int, error) {
	n, err := w.FileWriter.Write(p)
	w.pulse.beat()
	return n, err
}

type pulseFolder struct {
	archive.Folder
	pulse *pulse
}

func (f pulseFolder) Open(ctx context.Context, name string) (archive.File, error) {
	file, err := f.Folder.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return pulseFile{file, f.pulse}, nil
}

type pulseFile struct {
	archive.File
	pulse *pulse
}

func (f pulseFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	f.pulse.beat()
	return n, err
}

func (f pulseFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	f.pulse.beat()
	return n, err
}
