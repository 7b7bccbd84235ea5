"""First-party probes: logistic regression, linear SVM, k nearest neighbours."""
