"""What `estimate` takes: arrays, files of arrays, and columns of tables.

samples        checks x and y, and says what each is: numbers, classes, images
files          .npy, .npz and tables, by name
tables         columns of .csv, .tsv and .parquet (dialect, cells)
"""
