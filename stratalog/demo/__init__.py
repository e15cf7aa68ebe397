"""The demo: real models on data that scikit-learn ships, every step recorded, then the questions that people have.

scikit-learn is imported when the story begins, never by `import stratalog.demo`.
"""
