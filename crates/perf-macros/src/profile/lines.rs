//! Marks before the statements of a function's body.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Block, Expr, Item, Label, Lifetime, Path, Stmt, parse_quote};

/// The longest text of a statement that is kept.
const MAX_TEXT: usize = 200;

/// A body with its marks, and the array of its statements.
pub(super) struct Marked {
    pub(super) body: Block,
    pub(super) sites: TokenStream,
}

/// Marks every statement of `body`, which `krate` is to time.
pub(super) fn mark(mut body: Block, krate: &Path) -> Marked {
    let source = Source::of(&body);
    let mut marker = Marker {
        krate,
        source,
        sites: Vec::new(),
        present: 0,
        loops: Vec::new(),
    };
    // A body without statements has one, itself, so that its time has a place.
    if body.stmts.is_empty() {
        marker.site(body.span());
    }
    marker.visit_block_mut(&mut body);
    let sites = marker.sites;
    Marked {
        body,
        sites: quote!([#(#sites),*]),
    }
}

struct Marker<'a> {
    krate: &'a Path,
    source: Source,
    sites: Vec<TokenStream>,
    /// The statement that is being visited.
    present: usize,
    /// The loops around it, with the statements that are their heads.
    loops: Vec<(Option<Lifetime>, usize)>,
}

impl Marker<'_> {
    /// Adds a statement that starts at `span`, and returns its number.
    fn site(&mut self, span: Span) -> usize {
        let krate = self.krate;
        let (line, column) = place(span);
        let text = self.source.text(line, column);
        self.sites
            .push(quote!(#krate::__private::LineSite::new(#line, #column, #text)));
        self.sites.len() - 1
    }

    fn begin(&self, number: usize) -> Stmt {
        let krate = self.krate;
        // A loop's body may never reach the mark at its end.
        parse_quote! {
            #[allow(unreachable_code)]
            #krate::__private::mark(&__PROFILE_FRAME, &__PROFILE_MEMORY, #number);
        }
    }

    fn visit_loop(&mut self, label: Option<&Label>, body: &mut Block) {
        let head = self.present;
        let label = label.map(|label| label.name.clone());
        self.loops.push((label, head));
        self.visit_block_mut(body);
        self.loops.pop();
        self.present = head;
        // Before the next round the head runs again.
        if let Some(Stmt::Expr(_, semicolon @ None)) = body.stmts.last_mut() {
            *semicolon = Some(parse_quote!(;));
        }
        let mark = self.begin(head);
        body.stmts.push(mark);
    }
}

impl VisitMut for Marker<'_> {
    fn visit_block_mut(&mut self, block: &mut Block) {
        let around = self.present;
        for statement in std::mem::take(&mut block.stmts) {
            self.visit_and_push(statement, &mut block.stmts);
        }
        self.present = around;
    }

    fn visit_expr_mut(&mut self, expression: &mut Expr) {
        match expression {
            // Each of them runs when it is called or polled, not where it stands.
            Expr::Closure(_) | Expr::Async(_) | Expr::Const(_) => {}
            Expr::While(repeated) => {
                self.visit_expr_mut(&mut repeated.cond);
                self.visit_loop(repeated.label.as_ref(), &mut repeated.body);
            }
            Expr::ForLoop(repeated) => {
                self.visit_expr_mut(&mut repeated.expr);
                self.visit_loop(repeated.label.as_ref(), &mut repeated.body);
            }
            Expr::Loop(repeated) => {
                self.visit_loop(repeated.label.as_ref(), &mut repeated.body);
            }
            Expr::Continue(next) => {
                let head = self.head_of(next.label.as_ref());
                if let Some(mark) = head.map(|head| self.begin(head)) {
                    *expression = parse_quote!({ #mark #next });
                }
            }
            Expr::Await(awaiting) => {
                visit_mut::visit_expr_mut(self, &mut awaiting.base);
                let (krate, base, number) = (self.krate, &awaiting.base, self.present);
                awaiting.base =
                    parse_quote!(#krate::__private::awaited(#base, &__PROFILE_LINES, #number));
            }
            other => visit_mut::visit_expr_mut(self, other),
        }
    }

    fn visit_arm_mut(&mut self, arm: &mut syn::Arm) {
        if let Some((_, guard)) = &mut arm.guard {
            self.visit_expr_mut(guard);
        }
        if matches!(&*arm.body, Expr::Block(_)) {
            return self.visit_expr_mut(&mut arm.body);
        }
        let around = self.present;
        self.present = self.site(arm.body.span());
        let mark = self.begin(self.present);
        self.visit_expr_mut(&mut arm.body);
        let body = &arm.body;
        *arm.body = parse_quote!({ #mark #body });
        self.present = around;
    }

    fn visit_item_mut(&mut self, _: &mut Item) {}
}

impl Marker<'_> {
    fn visit_and_push(&mut self, mut statement: Stmt, into: &mut Vec<Stmt>) {
        if matches!(statement, Stmt::Item(_)) {
            return into.push(statement);
        }
        self.present = self.site(statement.span());
        into.push(self.begin(self.present));
        self.visit_stmt_mut(&mut statement);
        into.push(statement);
    }

    fn head_of(&self, label: Option<&Lifetime>) -> Option<usize> {
        let mut loops = self.loops.iter().rev();
        let found = match label {
            None => loops.next(),
            Some(_) => loops.find(|(name, _)| name.as_ref() == label),
        };
        found.map(|(_, head)| *head)
    }
}

/// Line and column, both from 1.
fn place(span: Span) -> (u32, u32) {
    let start = span.unwrap();
    let number = |number| u32::try_from(number).unwrap_or(0);
    (number(start.line()), number(start.column()))
}

/// The text that a body was written as.
struct Source {
    first_line: u32,
    first_column: u32,
    lines: Vec<String>,
}

impl Source {
    /// The group of braces has the whole text; spans of statements cannot be joined.
    fn of(body: &Block) -> Self {
        let braces = body.brace_token.span.join();
        let (first_line, first_column) = place(braces);
        let text = braces.unwrap().source_text();
        let text = text.unwrap_or_else(|| body.to_token_stream().to_string());
        Self {
            first_line,
            first_column,
            lines: text.lines().map(str::to_owned).collect(),
        }
    }

    /// What stands on a line from a column on.
    fn text(&self, line: u32, column: u32) -> String {
        let index = line.saturating_sub(self.first_line);
        // The text starts with the body's own brace.
        let skipped = match index {
            0 => column.saturating_sub(self.first_column),
            _ => column.saturating_sub(1),
        };
        let Some(text) = usize::try_from(index)
            .ok()
            .and_then(|index| self.lines.get(index))
        else {
            return String::new();
        };
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let rest: String = text.chars().skip(skipped).take(MAX_TEXT).collect();
        rest.trim().to_owned()
    }
}
