package rollback

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func on(s AlarmState) []Reading { return []Reading{{Alarm: "5xx", State: s}} }

func unreadable() []Reading { return []Reading{{Alarm: "5xx", Err: errors.New("access denied")}} }

// I1: an alarm that flaps has fired.
func TestI1_AlarmLatches(t *testing.T) {
	l, err := NewLatch(Watch{}, on(AlarmOK))
	require.NoError(t, err)
	require.Empty(t, l.Observe(on(AlarmOK)))
	require.Equal(t, "alarm 5xx fires", l.Observe(on(AlarmFiring)))
	require.Equal(t, "alarm 5xx fires", l.Observe(on(AlarmOK)))
}

// I2: an alarm that fires already refuses the start, unless overridden; then it
// counts from when it has been OK.
func TestI2_FiringAtTheStart(t *testing.T) {
	_, err := NewLatch(Watch{}, on(AlarmFiring))
	require.ErrorContains(t, err, "fires already")
	l, err := NewLatch(Watch{StartAnyway: true}, on(AlarmFiring))
	require.NoError(t, err)
	require.Empty(t, l.Observe(on(AlarmFiring)))
	require.Empty(t, l.Observe(on(AlarmOK)))
	require.NotEmpty(t, l.Observe(on(AlarmFiring)))
}

// I3: what cannot be read is not OK.
func TestI3_UnreadableFailsClosed(t *testing.T) {
	_, err := NewLatch(Watch{}, unreadable())
	require.ErrorContains(t, err, "access denied")
	for name, bad := range map[string][]Reading{"an error": unreadable(), "no data": on(AlarmUnknown), "an unknown word": on("FINE")} {
		t.Run(name, func(t *testing.T) {
			l, err := NewLatch(Watch{}, on(AlarmOK))
			require.NoError(t, err)
			require.Empty(t, l.Observe(bad))
			require.Empty(t, l.Observe(bad))
			require.Empty(t, l.Observe(on(AlarmOK)), "one good answer starts the count again")
			require.Empty(t, l.Observe(bad))
			require.Empty(t, l.Observe(bad))
			require.Contains(t, l.Observe(bad), "3 times in a row")
		})
	}
	l, err := NewLatch(Watch{IgnoreUnreadable: true}, unreadable())
	require.NoError(t, err)
	for range 10 {
		require.Empty(t, l.Observe(unreadable()))
	}
}
