"""Code of the stacks' own Lambda functions; none of it is part of the product."""
