package serve

import (
	"log/slog"

	"sarn/internal/monitor/sample"
)

// mostUnkept is how many samples may wait for the disk.
const mostUnkept = 20

// keeper hands samples to the history. A disk that hangs holds up nobody else.
type keeper struct {
	to      History
	log     *slog.Logger
	samples chan *sample.Sample
	losing  bool
}

func (k *keeper) take(s *sample.Sample) {
	select {
	case k.samples <- s:
		k.losing = k.losing && len(k.samples) > 1 // it has kept up only when nothing waits
	default:
		if !k.losing {
			k.log.Error("the history does not keep up; samples are lost", "waiting", mostUnkept)
		}
		k.losing = true
	}
}

// run ends when there are no more samples and what waits is kept.
func (k *keeper) run() {
	for s := range k.samples {
		if err := k.to.Add(s); err != nil {
			k.log.Error("the history was not written; it is tried again", "error", err)
		}
	}
}
