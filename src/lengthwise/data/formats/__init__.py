"""Result files of benchmark tools, one module each, found by their content."""
