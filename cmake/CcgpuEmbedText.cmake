# cmake -D OUT=file.cc -D "IN=a.md;b.md" -P: the files' text as one constant, so that a program can quote the documents.
set(body "")
foreach(file ${IN})
  file(READ ${file} text)
  string(APPEND body "R\"~~~(${text})~~~\"\n")
endforeach()
file(WRITE ${OUT} "namespace ccgpu::cli {\nextern const char kReasonTexts[];\nconst char kReasonTexts[] =\n${body};\n}  // namespace ccgpu::cli\n")
