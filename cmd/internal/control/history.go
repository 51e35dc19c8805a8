package control

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"resound/cmd/internal/monitor/history"
)

// importChunk is how many points of an import are written at a time.
const importChunk = 256

var errNoHistory = errors.New("this server keeps no history (monitoring.storage)")

// history streams the points of both steps.
func (s *Server) history(w http.ResponseWriter, r *http.Request) {
	store := s.node.History()
	if store == nil {
		s.fail(w, http.StatusNotFound, errNoHistory)
		return
	}
	since, err := strconv.ParseInt(r.FormValue("since"), 10, 64)
	if err != nil && r.FormValue("since") != "" {
		s.fail(w, http.StatusBadRequest, fmt.Errorf("since is %.80q, want seconds since 1970", r.FormValue("since")))
		return
	}
	out, err := history.NewWriter(w, r.FormValue("format"))
	if err != nil {
		s.fail(w, http.StatusBadRequest, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	begun := false
	for _, step := range []int64{history.CoarseStep, history.FineStep} {
		err := store.Each(r.Context(), step, time.Unix(since, 0), time.Now(), func(p *history.Point) error {
			begun = true
			return out.Write(p)
		})
		switch {
		case err != nil && begun:
			s.log.Warn("export of the history", "error", err)
			panic(http.ErrAbortHandler) // a part must not look like the whole
		case err != nil:
			s.fail(w, http.StatusServiceUnavailable, err)
			return
		}
	}
	_ = out.Flush() // else the client left
}

// importHistory writes what passed before a mistake, and says where that is.
func (s *Server) importHistory(w http.ResponseWriter, r *http.Request) {
	store := s.node.History()
	if store == nil {
		s.fail(w, http.StatusNotFound, errNoHistory)
		return
	}
	var done Imported
	var chunk []history.Point
	write := func() error {
		expired, err := store.Import(r.Context(), chunk)
		if err != nil {
			return err
		}
		done.Points += len(chunk)
		done.Expired += expired
		chunk = nil
		return nil
	}
	err := history.Read(r.Body, func(p *history.Point) error {
		if err := p.Check(time.Now()); err != nil {
			return err
		}
		if chunk = append(chunk, *p); len(chunk) < importChunk {
			return nil
		}
		return write()
	})
	if err = errors.Join(err, write()); err != nil {
		s.fail(w, http.StatusUnprocessableEntity, fmt.Errorf("%w (%d points before it are in)", err, done.Points))
		return
	}
	answer(w, done)
}

func (s *Server) dashboardLink(w http.ResponseWriter, _ *http.Request) {
	link, err := s.node.DashboardLink()
	if err != nil {
		s.fail(w, http.StatusConflict, err)
		return
	}
	answer(w, Link{link})
}
