package dynamodb

// SetPart makes items hold fewer bytes of records, so that small appends are split.
func (j *Journal) SetPart(bytes int) { j.part = bytes }
