// The API's reference, drawn from its own OpenAPI document: no library, nothing from another host.

const made = (name, text = "", children = []) => {
  const element = document.createElement(name);
  element.textContent = text;
  element.append(...children);
  return element;
};

const row = (...cells) => made("tr", "", cells.map((cell) => made("td", "", [cell])));
const nameOf = (schema) => schema.$ref?.split("/").pop() ?? (schema.anyOf ?? []).map(nameOf).join(" | ") ?? "";
const typeOf = (schema) => {
  if (schema.$ref || schema.anyOf) return schema.anyOf ? schema.anyOf.map(typeOf).join(" | ") : nameOf(schema);
  if (schema.type === "array") return `[${typeOf(schema.items ?? {})}]`;
  if (schema.additionalProperties) return `{name: ${typeOf(schema.additionalProperties)}}`;
  return schema.enum?.join(" | ") ?? schema.type ?? "any";
};

function operation(path, method, spec) {
  const fields = (spec.parameters ?? []).map((field) => row(made("code", field.name), typeOf(field.schema), field.description ?? ""));
  const answers = Object.entries(spec.responses).map(([status, answer]) => {
    const schema = Object.values(answer.content ?? {})[0]?.schema;
    return row(made("code", status), schema ? typeOf(schema) : "", answer.description ?? "");
  });
  const head = made("h3", "", [made("b", method.toUpperCase()), document.createTextNode(path)]);
  return made("article", "", [head, made("p", spec.description ?? ""), made("table", "", fields), made("table", "", answers)]);
}

function schema(name, spec) {
  const fields = Object.entries(spec.properties ?? {}).map(([field, type]) => row(made("code", field), typeOf(type), type.description ?? ""));
  return made("article", "", [made("h3", name), made("p", spec.description ?? ""), made("table", "", fields)]);
}

const api = await (await fetch("/openapi.json")).json();
document.getElementById("title").textContent = `${api.info.title} · v${api.info.version}`;
document.getElementById("about").textContent = api.info.description ?? "";
for (const [path, methods] of Object.entries(api.paths)) {
  for (const [method, spec] of Object.entries(methods)) document.getElementById("paths").append(operation(path, method, spec));
}
for (const [name, spec] of Object.entries(api.components?.schemas ?? {})) document.getElementById("schemas").append(schema(name, spec));
if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
