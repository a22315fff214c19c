package appspec

import (
	"strings"

	"github.com/cutover-deploy/cutover/lifecycle"
)

// Schema returns a JSON Schema (draft 2020-12) of AppSpecs for all platforms, for
// editors that complete and check while one types. It is made from the tables that
// [Parse] works with; the same text lies beside this package as
// appspec.schema.json. It knows shapes, words and patterns. What takes more than
// one place to see (paths, sums, keys given twice) only Parse finds.
func Schema() []byte {
	var b strings.Builder
	writeJSON(&b, object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"title", "AWS CodeDeploy AppSpec"},
		{"type", "object"},
		{"if", object{{"required", list{"Resources"}}}},
		{"then", object{{"if", hasType(typeLambda)}, {"then", ref("lambda")}, {"else", ref("ecs")}}},
		{"else", ref("server")},
		{"$defs", object{
			{"server", serverSchema()},
			{"files", schemaOrNull(arrayOf(closed(object{
				{"source", described("path in the revision; / is the whole of it", typed("string"))},
				{"destination", described("absolute path of a directory on the host", typed("string"))},
			}, "source", "destination")))},
			{"scripts", schemaOrNull(arrayOf(scriptSchema()))},
			{"permissions", schemaOrNull(arrayOf(permissionSchema()))},
			{"ecs", resourcesSchema(lifecycle.ECS, typeECS, serviceSchema())},
			{"lambda", resourcesSchema(lifecycle.Lambda, typeLambda, functionSchema())},
			{"function", described("name or ARN of a Lambda function", pattern(variablePattern, `^[\w:-]+(:\$LATEST)?$`))},
		}},
	}, "")
	b.WriteByte('\n')
	return []byte(b.String())
}

// variablePattern matches what may be a template's variable anywhere.
const variablePattern = `\{\{.*\}\}|\$\{?\w+|<[\w /.:-]+>|^\[[^\[\]]+\]$|^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$`

func typed(names ...string) object {
	if len(names) == 1 {
		return object{{"type", names[0]}}
	}
	return object{{"type", texts(names)}}
}

func ref(name string) object { return object{{"$ref", "#/$defs/" + name}} }

func arrayOf(item object) object { return object{{"type", "array"}, {"items", item}} }

func anyOf(options ...any) object { return object{{"anyOf", list(options)}} }

func schemaOrNull(s object) object { return anyOf(s, typed("null")) }

func described(text string, s object) object { return append(object{{"description", text}}, s...) }

func pattern(res ...string) object {
	return object{{"type", "string"}, {"pattern", strings.Join(res, "|")}}
}

func choice(in ...string) object { return object{{"enum", texts(in)}} }

// closed is a mapping with these keys and no others.
func closed(properties object, required ...string) object {
	return object{{"type", "object"}, {"properties", properties}, {"required", texts(required)}, {"additionalProperties", literal("false")}}
}

// hasType tells a resource of a type, without saying anything about the rest.
func hasType(name string) object {
	return object{{"properties", object{{"Resources", object{{"items", object{{"additionalProperties",
		object{{"properties", object{{"Type", object{{"const", name}}}}}, {"required", list{"Type"}}}}}}}}}}}
}

func serverSchema() object {
	events := object{}
	for _, e := range lifecycle.Server.Scriptable() {
		events.add(string(e), ref("scripts"))
	}
	s := closed(object{
		{"version", object{{"const", literal("0.0")}}},
		{"os", choice(osLinux, osWindows)},
		{"file_exists_behavior", described("what happens to files that are in the way", object{{"enum",
			list{string(Disallow), string(Overwrite), string(Retain), literal("null")}}})},
		{"files", ref("files")},
		{"hooks", described("scripts by event; events of one's own run in local tools only",
			object{{"type", list{"object", "null"}}, {"properties", events}, {"additionalProperties", ref("scripts")}})},
		{"permissions", ref("permissions")},
	}, "version", "os")
	s.add("if", object{{"properties", object{{"os", object{{"const", osWindows}}}}}})
	s.add("then", object{{"properties", object{{"permissions", object{{"maxItems", literal("0")}}}}}})
	return s
}

func scriptSchema() object {
	return closed(object{
		{"location", described("path of a script in the revision, without arguments", object{{"type", "string"}, {"pattern", `\S`}})},
		{"timeout", described("seconds; 3600 if absent", anyOf(object{{"type", "number"}, {"minimum", literal("1")}, {"maximum", digits(maxTimeout)}},
			pattern(`^\s*\+?0*[1-9]\d{0,8}(?:\D|$)`), typed("null")))},
		{"runas", typed("string", "null")},
		{"sudo", typed("boolean", "null")},
	}, "location")
}

func permissionSchema() object {
	return closed(object{
		{"object", described("absolute path of what is installed", object{{"type", "string"}, {"pattern", `\S`}})},
		{"pattern", typed("string", "null")},
		{"except", schemaOrNull(arrayOf(typed("string")))},
		{"type", schemaOrNull(arrayOf(choice(string(TypeFile), string(TypeDirectory))))},
		{"owner", typed("string", "integer", "null")},
		{"group", typed("string", "integer", "null")},
		{"mode", anyOf(object{{"type", "integer"}, {"minimum", literal("0")}, {"maximum", literal("7777")}}, pattern(`^[0-7]{0,5}$`), typed("null"))},
		{"acls", schemaOrNull(arrayOf(pattern(`:`)))},
		{"context", schemaOrNull(closed(object{{"type", typed("string")}, {"name", typed("string", "null")}, {"range", pattern(`^s\d`)}}, "type"))},
	}, "object")
}

// resourcesSchema is the whole of an AppSpec with one resource.
func resourcesSchema(p lifecycle.Platform, typeName string, properties object) object {
	hooks := list{}
	for _, e := range p.Scriptable() {
		hooks = append(hooks, closed(object{{string(e), ref("function")}}, string(e)))
	}
	resource := closed(object{{"Type", object{{"const", typeName}}}, {"Properties", properties}}, "Type", "Properties")
	return closed(object{
		{"version", object{{"enum", list{literal("0.0"), "0.0"}}}},
		{"Resources", object{{"type", "array"}, {"minItems", literal("1")}, {"maxItems", literal("1")},
			{"items", object{{"type", "object"}, {"minProperties", literal("1")}, {"maxProperties", literal("1")}, {"additionalProperties", resource}}}}},
		{"Hooks", schemaOrNull(arrayOf(object{{"anyOf", hooks}}))},
	}, "version", "Resources")
}

func serviceSchema() object {
	ids := func(limit int) object {
		return object{{"type", "array"}, {"minItems", literal("1")}, {"maxItems", digits(int64(limit))}, {"items", pattern(`\S`)}}
	}
	amount := func(limit int) object {
		return anyOf(object{{"type", "integer"}, {"minimum", literal("0")}, {"maximum", digits(int64(limit))}}, pattern(`^\d+$`), typed("null"))
	}
	vpc := closed(object{{"Subnets", ids(maxSubnets)}, {"SecurityGroups", ids(maxGroups)},
		{"AssignPublicIp", anyOf(choice("ENABLED", "DISABLED"), pattern(variablePattern))}}, vpcKeys...)
	capacity := closed(object{{"CapacityProvider", pattern(`\S`)}, {"Base", amount(maxBase)}, {"Weight", amount(maxWeight)}}, "CapacityProvider")
	return closed(object{
		{"TaskDefinition", described("ARN or family of the task definition, with or without :revision",
			anyOf(pattern(`\s*`+reTaskDefinition.String(), variablePattern), typed("integer")))},
		{"LoadBalancerInfo", closed(object{
			{"ContainerName", described("a container of the task definition", pattern(`\S`))},
			{"ContainerPort", anyOf(object{{"type", "integer"}, {"minimum", literal("1")}, {"maximum", literal("65535")}},
				pattern(`^\s*[1-9]\d{0,4}\s*$`, variablePattern))},
		}, balancerKeys...)},
		{"PlatformVersion", described("of Fargate; LATEST if absent", anyOf(pattern(rePlatform.String(), variablePattern), typed("null")))},
		{"NetworkConfiguration", schemaOrNull(closed(object{{"AwsvpcConfiguration", vpc}}, "AwsvpcConfiguration"))},
		{"CapacityProviderStrategy", schemaOrNull(object{{"type", "array"}, {"maxItems", digits(maxProviders)}, {"items", capacity}})},
	}, "TaskDefinition", "LoadBalancerInfo")
}

func functionSchema() object {
	version := described("number of a published version", anyOf(object{{"type", "integer"}, {"minimum", literal("1")}},
		pattern(`^\s*[1-9]\d*\s*$`, `\{\{.*\}\}|\$\{\w+|\$(?:[^L\W]|L[^A\W])\w*|<[\w /.:-]+>|^\[[^\[\]]+\]$|^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$`)))
	return closed(object{
		{"Name", described("name or ARN of the function", pattern(`^\s*[\w:-]+\s*$`, variablePattern))},
		{"Alias", described("alias whose traffic moves", pattern(`^\s*[\w-]*[A-Za-z_-][\w-]*\s*$`, variablePattern))},
		{"CurrentVersion", version},
		{"TargetVersion", version},
	}, functionKeys...)
}
