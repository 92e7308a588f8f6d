//! Whether a template keeps to what templates may hold.

use minijinja::machinery::ast::{
    BinOpKind, CompareOpKind, Const, Expr, Filter, ForLoop, Stmt, UnaryOpKind,
};
use minijinja::machinery::{Span, Token, parse, tokenize};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use super::{FILTERS, Variable};

/// The most tokens in one pair of braces: the parser goes as deep as they are many.
const MOST_TOKENS: usize = 200;

/// The most tags: the parser goes a level deeper at each `elif`.
const MOST_TAGS: usize = 200;

/// The longest text of the parser in a message.
const LONGEST_DETAIL: usize = 200;

/// What templates hold, for those who tried something else.
const HELP: &str = "which templates do not have. They have variables, text, filters, `~`, `==`, `!=`, `in`, `not`, `and`, `or`, `if`, and `for` over a list.";

/// The attributes of `loop` that are text or numbers.
const LOOP: [&str; 5] = ["first", "index", "index0", "last", "length"];

/// What is wrong with a template.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Fault {
    /// Where, counted from 1.
    pub(super) line: Option<usize>,
    /// What it does, beginning with a verb, and the remedy.
    pub(super) what: String,
}

type Checked = Result<(), Fault>;

/// Checks the text of a template against the variables that there are.
pub(super) fn check(text: &str, variables: &[Variable]) -> Checked {
    check_tokens(text)?;
    let parsed =
        parse(text, "template", SyntaxConfig::default()).map_err(|error| unreadable(&error))?;
    let mut checker = Checker {
        variables,
        bound: Vec::new(),
        loops: 0,
    };
    checker.statement(&parsed)
}

/// The line of the first expression that is written without `tojson`.
pub(super) fn without_tojson(text: &str) -> Option<usize> {
    let parsed = parse(text, "template", SyntaxConfig::default()).ok()?;
    bare(std::slice::from_ref(&parsed))
}

fn bare(statements: &[Stmt<'_>]) -> Option<usize> {
    statements.iter().find_map(|statement| match statement {
        Stmt::Template(template) => bare(&template.children),
        Stmt::EmitExpr(emit) if !is_json(&emit.expr) => Some(usize::from(emit.span().start_line)),
        Stmt::IfCond(condition) => {
            bare(&condition.true_body).or_else(|| bare(&condition.false_body))
        }
        Stmt::ForLoop(repeat) => bare(&repeat.body).or_else(|| bare(&repeat.else_body)),
        _ => None,
    })
}

/// Whether an expression is a literal, comes from `tojson`, or is a number or truth value of `loop`.
fn is_json(expression: &Expr<'_>) -> bool {
    match expression {
        Expr::Const(_) | Expr::GetAttr(_) => true,
        Expr::Filter(filter) => filter.name == "tojson",
        Expr::IfExpr(choice) => {
            is_json(&choice.true_expr) && choice.false_expr.as_ref().is_none_or(is_json)
        }
        _ => false,
    }
}

/// Bounds what the parser has to do, which goes deeper with each token of a kind.
fn check_tokens(text: &str) -> Checked {
    let (mut tokens, mut tags) = (0, 0);
    for token in tokenize(text, false, SyntaxConfig::default()) {
        let (token, span) = token.map_err(|error| unreadable(&error))?;
        match token {
            Token::TemplateData(_) | Token::VariableStart => tokens = 0,
            Token::BlockStart => {
                tokens = 0;
                tags += 1;
            }
            Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::FloorDiv
            | Token::Pow
            | Token::Mod
            | Token::Colon
            | Token::Assign
            | Token::BraceOpen
            | Token::BraceClose => return Err(foreign(span, &token.to_string())),
            _ => tokens += 1,
        }
        if tokens > MOST_TOKENS {
            let what =
                format!("has more than {MOST_TOKENS} tokens in one pair of braces. Split them.");
            return Err(fault(span, what));
        }
        if tags > MOST_TAGS {
            let what = format!("has more than {MOST_TAGS} tags. Shorten it.");
            return Err(fault(span, what));
        }
    }
    Ok(())
}

/// Goes through a template, up to the first fault. What it lets pass is rendered with every credential of
/// the method, unless it becomes too large.
struct Checker<'a> {
    variables: &'a [Variable],
    /// What loops bind for their conditions and bodies.
    bound: Vec<&'a str>,
    /// The loops whose body this is: only there is `loop` known.
    loops: usize,
}

impl<'a> Checker<'a> {
    fn statements(&mut self, statements: &[Stmt<'a>]) -> Checked {
        statements
            .iter()
            .try_for_each(|statement| self.statement(statement))
    }

    fn statement(&mut self, statement: &Stmt<'a>) -> Checked {
        match statement {
            Stmt::Template(template) => self.statements(&template.children),
            Stmt::EmitRaw(_) => Ok(()),
            Stmt::EmitExpr(emit) => self.value(&emit.expr),
            Stmt::IfCond(condition) => {
                self.value(&condition.expr)?;
                self.statements(&condition.true_body)?;
                self.statements(&condition.false_body)
            }
            Stmt::ForLoop(repeat) => self.repeat(repeat, repeat.span()),
            Stmt::WithBlock(tag) => Err(foreign(tag.span(), "`with`")),
            Stmt::Set(tag) => Err(foreign(tag.span(), "`set`")),
            Stmt::SetBlock(tag) => Err(foreign(tag.span(), "`set`")),
            Stmt::AutoEscape(tag) => Err(foreign(tag.span(), "`autoescape`")),
            Stmt::FilterBlock(tag) => Err(foreign(tag.span(), "`filter` as a tag")),
            Stmt::Do(tag) => Err(foreign(tag.span(), "`do`")),
        }
    }

    fn repeat(&mut self, repeat: &ForLoop<'a>, span: Span) -> Checked {
        if repeat.recursive {
            return Err(foreign(span, "`recursive`"));
        }
        self.list(&repeat.iter)?;
        let Expr::Var(name) = &repeat.target else {
            return Err(foreign(span, "`for` with several variables"));
        };
        self.statements(&repeat.else_body)?;
        self.bound.push(name.id);
        let condition = repeat.filter_expr.as_ref();
        condition.map_or(Ok(()), |condition| self.value(condition))?;
        self.loops += 1;
        self.statements(&repeat.body)?;
        self.loops -= 1;
        self.bound.pop();
        Ok(())
    }

    /// A list of values, written out.
    fn list(&self, expression: &Expr<'a>) -> Checked {
        let Expr::List(list) = expression else {
            let what = "needs a list that is written out, such as [\"a\", \"b\"].";
            return Err(fault(expression.span(), what.to_owned()));
        };
        list.items.iter().try_for_each(|item| self.value(item))
    }

    /// An expression that stands for a text, a number or a truth value.
    fn value(&self, expression: &Expr<'a>) -> Checked {
        match expression {
            Expr::Var(name) => self.variable(name.id, name.span()),
            Expr::Const(constant) => literal(constant, constant.span()),
            Expr::UnaryOp(not) if matches!(not.op, UnaryOpKind::Not) => self.value(&not.expr),
            Expr::BinOp(operation) => {
                self.value(&operation.left)?;
                match operation.op {
                    BinOpKind::Concat
                    | BinOpKind::Eq
                    | BinOpKind::Ne
                    | BinOpKind::ScAnd
                    | BinOpKind::ScOr => self.value(&operation.right),
                    BinOpKind::In => self.container(&operation.right),
                    other => Err(foreign(operation.span(), sign(other))),
                }
            }
            Expr::Compare(chain) => {
                self.value(&chain.expr)?;
                chain.ops.iter().try_for_each(|next| match next.op {
                    CompareOpKind::Eq | CompareOpKind::Ne => self.value(&next.expr),
                    _ => Err(foreign(
                        chain.span(),
                        "a chain of comparisons with `in` or `<`",
                    )),
                })
            }
            Expr::IfExpr(choice) => {
                self.value(&choice.test_expr)?;
                self.value(&choice.true_expr)?;
                let other = choice.false_expr.as_ref();
                other.map_or(Ok(()), |other| self.value(other))
            }
            Expr::Filter(filter) => {
                no_misuse(filter, filter.span())?;
                let input = filter.expr.as_ref();
                input.map_or(Ok(()), |input| self.value(input))
            }
            Expr::GetAttr(attribute) => match &attribute.expr {
                Expr::Var(name)
                    if name.id == "loop" && self.loops > 0 && LOOP.contains(&attribute.name) =>
                {
                    Ok(())
                }
                _ => Err(foreign(attribute.span(), "`.` after a value")),
            },
            Expr::UnaryOp(_) => Err(foreign(expression.span(), "arithmetic")),
            Expr::Test(_) => Err(foreign(expression.span(), "`is`")),
            Expr::Slice(_) | Expr::GetItem(_) => {
                Err(foreign(expression.span(), "`[` after a value"))
            }
            Expr::Call(_) => Err(foreign(expression.span(), "a call")),
            Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) => {
                Err(foreign(expression.span(), "a list at this place"))
            }
        }
    }

    /// What something can be in: a text, or a list. What a loop binds may be a number.
    fn container(&self, expression: &Expr<'a>) -> Checked {
        match expression {
            Expr::List(_) => self.list(expression),
            Expr::Const(text) if text.value.as_str().is_some() => Ok(()),
            Expr::Var(name) if !self.bound.contains(&name.id) => {
                self.variable(name.id, name.span())
            }
            _ => Err(foreign(
                expression.span(),
                "`in` with something that is neither a list nor a variable of the method nor a text",
            )),
        }
    }

    fn variable(&self, name: &str, span: Span) -> Checked {
        let mut known = self.variables.iter().map(|variable| variable.name);
        if self.bound.contains(&name) || known.any(|known| known == name) {
            return Ok(());
        }
        let known: Vec<&str> = self.variables.iter().map(|known| known.name).collect();
        let what = format!(
            "uses `{}`, which is no variable of this method. Use one of {}.",
            shown(name),
            known.join(", ")
        );
        Err(fault(span, what))
    }
}

/// An operator that only numbers need.
fn sign(operator: BinOpKind) -> &'static str {
    match operator {
        BinOpKind::Lt => "`<`",
        BinOpKind::Lte => "`<=`",
        BinOpKind::Gt => "`>`",
        BinOpKind::Gte => "`>=`",
        _ => "arithmetic",
    }
}

fn literal(constant: &Const, span: Span) -> Checked {
    let value = &constant.value;
    match value.kind() {
        ValueKind::String | ValueKind::Bool => Ok(()),
        ValueKind::Number => number(value, span),
        _ => Err(foreign(span, "`none`")),
    }
}

/// JSON has no infinite number, and its readers round integers that are longer.
fn number(value: &Value, span: Span) -> Checked {
    let is_plain = if value.is_integer() {
        u64::try_from(value.clone()).is_ok()
    } else {
        f64::try_from(value.clone()).is_ok_and(f64::is_finite)
    };
    if is_plain {
        return Ok(());
    }
    let what = "has a number that is too large. Write it as a text, in quotes.";
    Err(fault(span, what.to_owned()))
}

fn no_misuse(filter: &Filter<'_>, span: Span) -> Checked {
    if !FILTERS.contains(&filter.name) {
        let what = format!(
            "uses `{}`, which is no filter. Use one of {}.",
            shown(filter.name),
            FILTERS.join(", ")
        );
        return Err(fault(span, what));
    }
    if !filter.args.is_empty() {
        let what = format!(
            "gives arguments to the filter `{}`. Remove them.",
            filter.name
        );
        return Err(fault(span, what));
    }
    Ok(())
}

fn foreign(span: Span, what: &str) -> Fault {
    fault(span, format!("uses {what}, {HELP}"))
}

fn fault(span: Span, what: String) -> Fault {
    Fault {
        line: Some(usize::from(span.start_line)),
        what,
    }
}

fn unreadable(error: &Error) -> Fault {
    let detail = shown(error.detail().unwrap_or_default());
    Fault {
        line: error.line(),
        what: format!("cannot be read: {detail}. Correct the template."),
    }
}

/// A part of a template as a message shows it: short, and on one line.
fn shown(text: &str) -> String {
    let plain = text.chars().map(|character| match character {
        character if character.is_control() => ' ',
        character => character,
    });
    plain.take(LONGEST_DETAIL).collect()
}
