//! From template to graph to resources: parse, plan, apply, roll back, delete, resume.
