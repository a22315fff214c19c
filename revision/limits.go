package revision

import "time"

// Limits bounds what an archive may unpack to. Zero means the default.
type Limits struct {
	Bytes   int64 // of all files together; 0: 10 GiB
	Members int   // files, directories and links; 0: 1,000,000

	// Ratio is the highest allowed ratio of unpacked to packed size. It is looked
	// at only when more than RatioFrom bytes have been unpacked.
	Ratio     int64 // 0: 200
	RatioFrom int64 // 0: 100 MiB
}

// Transfer bounds how an archive is fetched. Zero means the default.
type Transfer struct {
	Bytes int64 // of the archive as it is stored; 0: 5 GiB

	// Rate is the lowest number of bytes per second, looked at every Window. What is
	// slower has stalled: it is asked for again, and given up with code Stalled.
	Rate   int64         // 0: 1 KiB
	Window time.Duration // 0: 30 s; also how long an answer may take to begin

	// Tries is how often in a row a transfer may fail before it is given up. One that
	// brings some of the archive begins the count anew. 0: 4.
	Tries int
	// Pause is before the second try, give or take half; it doubles with each, up to
	// half a minute. 0: 1 s.
	Pause time.Duration
}

// These limits follow from file systems and from what the formats are for; they
// cannot be set.
const (
	maxName   = 255     // bytes of one part of a path
	maxPath   = 4096    // bytes of a whole path, and of a link's text
	maxHeader = 1 << 20 // bytes of an extended tar header
)

func (l Limits) withDefaults() Limits {
	if l.Bytes <= 0 {
		l.Bytes = 10 << 30
	}
	if l.Members <= 0 {
		l.Members = 1_000_000
	}
	if l.Ratio <= 0 {
		l.Ratio = 200
	}
	if l.RatioFrom <= 0 {
		l.RatioFrom = 100 << 20
	}
	return l
}
