package elb

import (
	"strconv"
)

// defaultPage is how many things an answer has where the caller does not say.
const defaultPage = 400

// page cuts one page out of a list, and says where the next one begins.
func page[T any](all []T, size *int32, marker *string) (some []T, next *string, err error) {
	from, n := 0, defaultPage
	if size != nil {
		n = int(*size)
	}
	if n < 1 || n > defaultPage {
		return nil, nil, invalid("PageSize %d is not between 1 and %d", n, defaultPage)
	}
	if marker != nil {
		if from, err = strconv.Atoi(*marker); err != nil || from < 0 || from > len(all) {
			return nil, nil, invalid("the marker %q is not one of ours", *marker)
		}
	}
	if end := from + n; end < len(all) {
		m := strconv.Itoa(end)
		return all[from:end], &m, nil
	}
	return all[from:], nil, nil
}
