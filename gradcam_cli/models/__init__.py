"""Loading of classifiers: model names and files, weights, class names, preprocessing."""
