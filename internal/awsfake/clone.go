package awsfake

import "reflect"

// Clone copies a value with all that it points to, so that neither a client nor a
// fault that rewrites an answer reaches what a fake keeps. What is in interfaces and
// unexported fields is shared, so a stream stays one.
func Clone[T any](v T) T {
	from := reflect.ValueOf(&v).Elem()
	if from.Kind() == reflect.Interface {
		from = from.Elem()
	}
	if !from.IsValid() {
		return v
	}
	to := reflect.New(from.Type()).Elem()
	copyInto(to, from)
	return to.Interface().(T)
}

func copyInto(dst, src reflect.Value) {
	dst.Set(src)
	switch src.Kind() {
	case reflect.Pointer:
		if !src.IsNil() {
			p := reflect.New(src.Type().Elem())
			copyInto(p.Elem(), src.Elem())
			dst.Set(p)
		}
	case reflect.Struct:
		for i := range src.NumField() {
			if src.Type().Field(i).IsExported() {
				copyInto(dst.Field(i), src.Field(i))
			}
		}
	case reflect.Slice:
		if !src.IsNil() {
			s := reflect.MakeSlice(src.Type(), src.Len(), src.Len())
			for i := range src.Len() {
				copyInto(s.Index(i), src.Index(i))
			}
			dst.Set(s)
		}
	case reflect.Map:
		if !src.IsNil() {
			m := reflect.MakeMapWithSize(src.Type(), src.Len())
			for k, v := range src.Seq2() {
				c := reflect.New(v.Type()).Elem()
				copyInto(c, v)
				m.SetMapIndex(k, c)
			}
			dst.Set(m)
		}
	}
}
