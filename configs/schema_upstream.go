package configs

// serverPattern is what ParseServerAddress takes, and more.
const serverPattern = `^(unix:/.{0,106}|srv:_[^\s:]+|mx:[A-Za-z0-9._-]+(:[0-9]+)?|([^:\[\]\s]+|\[[^\[\]\s]+\]):` + portPattern + `)$`

// groupPattern is what groups are called.
const groupPattern = `^[A-Za-z0-9._-]{1,64}$`

const wantGroup = "up to 64 letters, digits, and any of - _ ."

// refineUpstream holds a group of upstreams to its name and its servers.
func refineUpstream(o object) {
	name := property(o, "name")
	name["pattern"], name["patternErrorMessage"] = groupPattern, "want "+wantGroup
	refineGroup(o)
}

// refineGroup holds a group to have an address or servers, and not both.
func refineGroup(o object) {
	property(o, "servers")["maxItems"] = maxServers
	o["anyOf"] = []any{
		object{"required": []string{"address"}, "properties": object{
			"address": object{"not": object{"type": "null"}},
			"servers": object{"maxItems": 0},
		}},
		object{"required": []string{"servers"}, "properties": object{
			"address": object{"type": "null"},
			"servers": object{"type": "array", "minItems": 1},
		}},
	}
}

// refineUpstreamTLS holds a certificate and a key to come together.
func refineUpstreamTLS(o object) {
	one := []any{spoken("certificate"), spoken("key")}
	o["anyOf"] = []any{object{"allOf": one}, object{"not": object{"anyOf": one}}}
}

// refineTLS holds client_certificates: require to its authorities.
func refineTLS(o object) {
	o["if"] = object{"allOf": []any{
		filled("certificates"),
		object{"required": []string{"client_certificates"}, "properties": object{"client_certificates": object{"const": string(RequireCertificate)}}},
	}}
	o["then"] = spoken("client_ca")
}

// spoken is the schema of objects that have a text at that key which is not
// empty.
func spoken(key string) object {
	return object{
		"required":   []string{key},
		"properties": object{key: object{"type": "string", "minLength": 1}},
	}
}
