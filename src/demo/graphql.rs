//! `POST /graphql`: the goods by GraphQL.
//!
//! ```text
//! type Query {
//!   product(id: Int!): Product
//!   products(page: Int = 1, perPage: Int = 20): [Product!]!
//!   search(q: String!): [Product!]!
//!   me: String              # who is logged in, by cookie or bearer token; an error for others
//! }
//! type Mutation { login(user: String!, password: String!): Login! }
//! type Product { id: Int!  name: String!  price: Float!  stock: Int! }
//! type Login { token: String!  expiresIn: Int! }
//! ```
//!
//! Variables, aliases, fragments, `@skip` and `@include`, and several operations are understood. There is no introspection.

use graphql_parser::query::{
    Definition, Directive, Document, Field, OperationDefinition, Selection, SelectionSet, Value as Given, parse_query,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use smallvec::SmallVec;

use super::catalogue::PER_PAGE_MAX;
use super::response::{Reply, Response};
use super::routes::Call;
use super::shop::{Carrier, PASSWORD, TOKEN_LIFE, is_user, key_text};

/// Hits of a search.
const HITS_MAX: usize = 20;

/// The most fields that one request may ask for, so that nobody asks for the goods a thousand times.
const FIELDS_MAX: usize = 2000;

/// How deep fragments may lie in each other.
const DEPTH_MAX: usize = 16;

#[derive(Deserialize)]
struct Question {
    query: String,
    #[serde(default)]
    variables: Option<Map<String, Value>>,
    #[serde(default, rename = "operationName")]
    operation_name: Option<String>,
}

/// What fields are resolved with.
struct Resolver<'a, 'q> {
    call: &'a Call<'a>,
    document: &'a Document<'q, &'q str>,
    variables: Map<String, Value>,
    errors: Vec<Value>,
    fields: usize,
}

/// Why there is no value, in the words of GraphQL's `errors`.
type Failure = String;

/// `POST /graphql`: `{"query", "variables", "operationName"}`.
pub(super) fn graphql(call: &Call<'_>, response: Response<'_>) -> Reply {
    let refuse = |response: Response<'_>, message: String| {
        response.json(400, json!({ "errors": [{ "message": message }] }).to_string())
    };
    let question: Question = match serde_json::from_slice(call.body) {
        Ok(question) => question,
        Err(error) => return refuse(response, format!("expected {{\"query\", \"variables\"}} in JSON: {error}")),
    };
    let document = match parse_query::<&str>(&question.query) {
        Ok(document) => document,
        Err(error) => return refuse(response, format!("syntax error: {error}")),
    };
    let (root, selections, defaults) = match operation(&document, question.operation_name.as_deref()) {
        Ok(found) => found,
        Err(message) => return refuse(response, message),
    };
    let mut variables = defaults;
    variables.extend(question.variables.unwrap_or_default());
    let mut resolver = Resolver { call, document: &document, variables, errors: Vec::new(), fields: 0 };
    let mut data = Map::new();
    let resolved = resolver.select(selections, 0, &mut |resolver, field| {
        let key = field.alias.unwrap_or(field.name);
        let value = resolver.root(root, field).unwrap_or_else(|message| {
            resolver.errors.push(json!({
                "message": message, "path": [key],
                "locations": [{ "line": field.position.line, "column": field.position.column }],
            }));
            Value::Null
        });
        data.insert(key.to_owned(), value);
        Ok(())
    });
    if let Err(message) = resolved {
        return refuse(response, message);
    }
    let mut answer = json!({ "data": data });
    if !resolver.errors.is_empty() {
        answer["errors"] = resolver.errors.into();
    }
    response.json(200, answer.to_string())
}

/// Which root type an operation is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Root {
    Query,
    Mutation,
}

type Operation<'a, 'q> = (Root, &'a SelectionSet<'q, &'q str>, Map<String, Value>);

/// The operation that is meant, and its variables' defaults.
fn operation<'a, 'q>(document: &'a Document<'q, &'q str>, name: Option<&str>) -> Result<Operation<'a, 'q>, Failure> {
    let operations = document.definitions.iter().filter_map(|definition| match definition {
        Definition::Operation(operation) => Some(operation),
        Definition::Fragment(_) => None,
    });
    let mut found = operations.filter_map(|operation| {
        let (root, known, selections, variables) = match operation {
            OperationDefinition::SelectionSet(selections) => (Root::Query, None, selections, None),
            OperationDefinition::Query(query) => {
                (Root::Query, query.name, &query.selection_set, Some(&query.variable_definitions))
            }
            OperationDefinition::Mutation(mutation) => {
                (Root::Mutation, mutation.name, &mutation.selection_set, Some(&mutation.variable_definitions))
            }
            OperationDefinition::Subscription(_) => return None,
        };
        let defaults = variables.into_iter().flatten().filter_map(|variable| {
            let value = variable.default_value.as_ref().and_then(|value| value_of(value, &Map::new()).ok())?;
            Some((variable.name.to_owned(), value))
        });
        name.is_none_or(|name| known == Some(name)).then(|| (root, selections, defaults.collect()))
    });
    match (found.next(), found.next(), name) {
        (Some(only), None, _) => Ok(only),
        (Some(_), Some(_), _) => Err("there are several operations: `operationName` must say which".to_owned()),
        (None, _, Some(name)) => Err(format!("there is no operation `{name}`")),
        (None, _, None) => Err("there is no query and no mutation".to_owned()),
    }
}

/// A value of the document in JSON, with its variables put in.
fn value_of<'q>(value: &Given<'q, &'q str>, variables: &Map<String, Value>) -> Result<Value, Failure> {
    Ok(match value {
        Given::Variable(name) => {
            variables.get(*name).cloned().ok_or_else(|| format!("the variable `${name}` has no value"))?
        }
        Given::Int(number) => number.as_i64().into(),
        Given::Float(number) => (*number).into(),
        Given::String(text) => text.as_str().into(),
        Given::Boolean(flag) => (*flag).into(),
        Given::Null => Value::Null,
        Given::Enum(name) => (*name).into(),
        Given::List(values) => {
            let values = values.iter().map(|value| value_of(value, variables));
            Value::Array(values.collect::<Result<_, _>>()?)
        }
        Given::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| Ok(((*name).to_owned(), value_of(value, variables)?)));
            Value::Object(fields.collect::<Result<_, Failure>>()?)
        }
    })
}

impl<'q> Resolver<'_, 'q> {
    /// Visits the fields of a selection, those of its fragments too.
    fn select(
        &mut self,
        selections: &SelectionSet<'q, &'q str>,
        depth: usize,
        visit: &mut dyn FnMut(&mut Self, &Field<'q, &'q str>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if depth > DEPTH_MAX {
            return Err(format!("fragments lie in each other more than {DEPTH_MAX} deep"));
        }
        for selection in &selections.items {
            match selection {
                Selection::Field(field) if self.is_wanted(&field.directives)? => {
                    self.fields += 1;
                    if self.fields > FIELDS_MAX {
                        return Err(format!("a request asks for at most {FIELDS_MAX} fields"));
                    }
                    visit(self, field)?;
                }
                Selection::InlineFragment(inline) if self.is_wanted(&inline.directives)? => {
                    self.select(&inline.selection_set, depth + 1, visit)?;
                }
                Selection::FragmentSpread(spread) if self.is_wanted(&spread.directives)? => {
                    let document = self.document;
                    let fragment = document.definitions.iter().find_map(|definition| match definition {
                        Definition::Fragment(fragment) if fragment.name == spread.fragment_name => Some(fragment),
                        _ => None,
                    });
                    let fragment =
                        fragment.ok_or_else(|| format!("there is no fragment `{}`", spread.fragment_name))?;
                    self.select(&fragment.selection_set, depth + 1, visit)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What `@skip` and `@include` say.
    fn is_wanted(&self, directives: &[Directive<'q, &'q str>]) -> Result<bool, Failure> {
        for directive in directives {
            let condition = directive.arguments.iter().find(|(name, _)| *name == "if");
            let held = match condition {
                Some((_, value)) => value_of(value, &self.variables)? == Value::Bool(true),
                None => continue,
            };
            if directive.name == "skip" && held || directive.name == "include" && !held {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn argument(&self, field: &Field<'q, &'q str>, name: &str) -> Result<Option<Value>, Failure> {
        let given = field.arguments.iter().find(|(known, _)| *known == name);
        let value = given.map(|(_, value)| value_of(value, &self.variables)).transpose()?;
        Ok(value.filter(|value| !value.is_null()))
    }

    fn integer(&self, field: &Field<'q, &'q str>, name: &str, default: Option<u32>) -> Result<u32, Failure> {
        match self.argument(field, name)? {
            None => default.ok_or_else(|| format!("`{}` needs the argument `{name}`", field.name)),
            Some(value) => {
                let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
                number.ok_or_else(|| format!("`{name}` of `{}` must be an Int from 0, found {value}", field.name))
            }
        }
    }

    fn text(&self, field: &Field<'q, &'q str>, name: &str) -> Result<String, Failure> {
        match self.argument(field, name)? {
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(format!("`{name}` of `{}` must be a String, found {other}", field.name)),
            None => Err(format!("`{}` needs the argument `{name}`", field.name)),
        }
    }

    fn root(&mut self, root: Root, field: &Field<'q, &'q str>) -> Result<Value, Failure> {
        let shop = self.call.shop;
        let found: Value = match (root, field.name) {
            (_, "__typename") => return Ok(if root == Root::Query { "Query" } else { "Mutation" }.into()),
            (Root::Query, "me") => {
                let caller = shop.caller(self.call.request, self.call.now);
                let user = caller.and_then(|key| shop.sessions.with(key, |session| session.user.clone())).flatten();
                return user.map(|user| (*user).into()).ok_or_else(|| "nobody is logged in".to_owned());
            }
            (Root::Query, "product") => {
                let id = self.integer(field, "id", None)?;
                shop.catalogue.product_json(id).and_then(|json| serde_json::from_str(json).ok()).unwrap_or(Value::Null)
            }
            (Root::Query, "products") => {
                let (page, per_page) =
                    (self.integer(field, "page", Some(1))?, self.integer(field, "perPage", Some(20))?);
                if page == 0 || !(1..=PER_PAGE_MAX).contains(&per_page) {
                    return Err(format!("`page` is at least 1, and `perPage` from 1 to {PER_PAGE_MAX}"));
                }
                let [_, items] = shop.catalogue.page_json(page, per_page);
                serde_json::from_str(&format!("[{items}]")).unwrap_or(Value::Null)
            }
            (Root::Query, "search") => {
                let (_, hits) = shop.catalogue.search(&self.text(field, "q")?, HITS_MAX);
                serde_json::from_str(&hits).unwrap_or(Value::Null)
            }
            (Root::Mutation, "login") => {
                let (user, password) = (self.text(field, "user")?, self.text(field, "password")?);
                if !is_user(&user) || password != PASSWORD {
                    return Err("wrong user or password".to_owned());
                }
                let (key, _) = shop.open_session(Carrier::Bearer, Some(&user), SmallVec::new(), self.call.now);
                json!({ "token": key_text(key), "expiresIn": TOKEN_LIFE.as_secs() })
            }
            (root, name) => {
                let kind = if root == Root::Query { "Query" } else { "Mutation" };
                return Err(format!("{kind} has no field `{name}`"));
            }
        };
        self.shape(&found, field)
    }

    /// The fields of an object that are asked for, or of each of a list.
    fn shape(&mut self, found: &Value, field: &Field<'q, &'q str>) -> Result<Value, Failure> {
        match found {
            Value::Array(all) => {
                Ok(Value::Array(all.iter().map(|one| self.shape(one, field)).collect::<Result<_, _>>()?))
            }
            Value::Object(object) => {
                if field.selection_set.items.is_empty() {
                    return Err(format!("`{}` needs a selection of its fields", field.name));
                }
                let mut shaped = Map::new();
                self.select(&field.selection_set, 0, &mut |_, wanted| {
                    let value = object.get(wanted.name);
                    let value = value.ok_or_else(|| format!("`{}` has no field `{}`", field.name, wanted.name))?;
                    shaped.insert(wanted.alias.unwrap_or(wanted.name).to_owned(), value.clone());
                    Ok(())
                })?;
                Ok(Value::Object(shaped))
            }
            other => Ok(other.clone()),
        }
    }
}
