"""Models of one class: learnt from normal recordings alone, to find whatever differs from them."""
