//! Plans read, and index advice that the planner itself confirms.

mod advice;
mod cases;
mod explainer;
mod parsing;
mod planners;
