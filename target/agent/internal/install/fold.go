package install

import (
	"strings"
	"unicode"
)

// fold brings names to one form that a file system may take for the same: case is
// folded, and letters written with combining accents become the single letters.
func fold(name string) string {
	var b strings.Builder
	var last rune
	flush := func() {
		if last != 0 {
			b.WriteRune(last)
		}
	}
	for _, r := range name {
		if whole, ok := compose(last, r); ok {
			last = whole
			continue
		}
		flush()
		last = simple(r)
	}
	flush()
	return b.String()
}

// simple is the smallest rune of those that differ in case only.
func simple(r rune) rune {
	low := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		low = min(low, f)
	}
	return low
}

// accents lists capital letters with the letter that they become under an accent.
// The file systems' full tables are far longer; a pair that is not here is found
// while staging, before anything visible is touched.
var accents = map[rune]string{
	0x300: "AÀEÈIÌNǸOÒUÙWẀYỲ",
	0x301: "AÁCĆEÉGǴIÍKḰLĹMḾNŃOÓPṔRŔSŚUÚWẂYÝZŹ",
	0x302: "AÂCĈEÊGĜHĤIÎJĴOÔSŜUÛWŴYŶZẐ",
	0x303: "AÃEẼIĨNÑOÕUŨVṼYỸ",
	0x304: "AĀEĒGḠIĪOŌUŪYȲ",
	0x306: "AĂEĔGĞIĬOŎUŬ",
	0x307: "AȦBḂCĊDḊEĖFḞGĠHḢIİMṀNṄOȮPṖRṘSṠTṪWẆXẊYẎZŻ",
	0x308: "AÄEËHḦIÏOÖUÜWẄXẌYŸ",
	0x30a: "AÅUŮ",
	0x30b: "OŐUŰ",
	0x30c: "AǍCČDĎEĚGǦHȞIǏKǨLĽNŇOǑRŘSŠTŤUǓZŽ",
	0x327: "CÇDḐEȨGĢHḨKĶLĻNŅRŖSŞTŢ",
	0x328: "AĄEĘIĮOǪUŲ",
}

func compose(base, accent rune) (rune, bool) {
	row := []rune(accents[accent])
	for i := 0; i+1 < len(row); i += 2 {
		if simple(row[i]) == base {
			return simple(row[i+1]), true
		}
	}
	return 0, false
}
